"""Publishes a job that no run has reserved, and a message that nobody understands, as any AMQP client could.

    foreign.py RABBITMQ_MANAGEMENT_URL
"""

import base64
import json
import sys
import time
import urllib.request

import stores


def publish(url, message_id, body):
    message = {
        "routing_key": "default",
        "properties": {"message_id": message_id, "type": "record", "delivery_mode": 2},
        "payload_encoding": "string",
        "payload": body,
    }
    login = base64.b64encode(b"guest:guest").decode()
    headers = {"content-type": "application/json", "authorization": f"Basic {login}"}
    request = urllib.request.Request(f"{url}/api/exchanges/%2f/paceline/publish", json.dumps(message).encode(), headers)
    with stores.OPENER.open(request, timeout=20) as answer:
        if not json.load(answer)["routed"]:
            sys.exit("dashboards: RabbitMQ had no queue for a foreign job")


def main(url):
    now = int(time.time() * 1000)
    job = {"jobId": "by-hand-0", "runId": "by-hand", "seq": 0, "queue": "default", "handler": "record"}
    publish(url, "by-hand-0", json.dumps({**job, "scheduledAt": now, "enqueuedAt": now}))
    publish(url, "by-hand-1", "nobody understands this")


if __name__ == "__main__":
    main(sys.argv[1])

"""Asks `paceline trace` for the trees of real jobs, from a real Jaeger: one that went well on each worker, so with traces that came
over gRPC and over HTTP, one that was tried again, one that died. Each must have every step.

    trees.py --jaeger URL --elasticsearch URL -- PROGRAM…      the program is `paceline` with its addresses
"""

import argparse
import json
import subprocess
import sys
import time

import lint
import stores

SECONDS_MAX = 60
PAUSE_SECONDS = 1
# Written afterwards, from the times in the envelope, so without `reserve` and `publish`.
AFTERWARDS = {"job", "wait in queue", "process", "store", "count"}
WHOLE = AFTERWARDS | {"reserve", "publish", "ack"}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--jaeger", required=True)
    parser.add_argument("--elasticsearch", required=True)
    parser.add_argument("--index", default="paceline-jobs-*")
    parser.add_argument("program", nargs="+")
    arguments = parser.parse_args()
    documents = stores.Elasticsearch(arguments.elasticsearch, arguments.index)
    jobs = chosen(arguments.jaeger)
    wanted = [
        ("a job of worker, traced over gRPC", lambda: jobs("worker"), WHOLE),
        ("a job of worker2, traced over HTTP", lambda: jobs("worker2"), WHOLE),
        ("a job that was tried again", lambda: ended(documents, "attempts:>1 AND status:completed"), AFTERWARDS | {"retry", "ack"}),
        ("a dead job", lambda: ended(documents, "status:dead"), AFTERWARDS | {"bury"}),
    ]
    return lint.report([wrong for wrong in (tree(arguments.program, *one) for one in wanted) if wrong])


def chosen(jaeger):
    """Jobs that were traced from their beginning, by the worker that did them: only those have a span of the scheduler."""
    def jobs(worker):
        found = stores.ask(f"{jaeger}/api/traces?service=paceline-scheduler&limit=200")["data"] or []
        for trace in found:
            names = {process["serviceName"] + " " + instance(process) for process in trace["processes"].values()}
            roots = [span for span in trace["spans"] if span["operationName"] == "job"]
            if f"paceline-worker {worker}" in names and roots:
                yield tags(roots[0])["paceline.job.id"]

    return jobs


def tags(thing):
    return {tag["key"]: tag["value"] for tag in thing["tags"]}


def instance(process):
    return str(tags(process).get("service.instance.id", ""))


def ended(documents, lucene):
    return (document["jobId"] for document in documents.documents(lucene))


def tree(program, what, jobs, steps):
    """Empty when one of the newest such jobs shows all of its steps; spans travel, so it is asked again for a while."""
    deadline, last = time.monotonic() + SECONDS_MAX, "there is none"
    while time.monotonic() < deadline:
        for job in list(jobs())[:10]:
            answer = subprocess.run([*program, "--json", "trace", job], capture_output=True, text=True)
            if answer.returncode:
                last = f"{job}: {answer.stderr.strip()}"
                continue
            spans = json.loads(answer.stdout)["spans"]
            names = {name for span in spans for name in steps if span["name"].startswith(name)}
            if names == steps:
                print(f"dashboards: {what}: {len(spans)} spans of {job}", file=sys.stderr)
                return None
            last = f"{job} shows only {sorted(names)}"
        time.sleep(PAUSE_SECONDS)
    return f"{what}: {last}"


if __name__ == "__main__":
    sys.exit(main())

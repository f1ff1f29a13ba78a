"""What the check asks: Prometheus, Elasticsearch and Jaeger, over HTTP."""

import json
import time
import urllib.error
import urllib.parse
import urllib.request

ANSWER_SECONDS_MAX = 20
# No proxy of this shell stands between the check and what runs on this machine.
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Refused(Exception):
    """The store understood the query and says no, in its own words."""


def ask(url, body=None, form=None):
    data, kind = None, {}
    if body is not None:
        data, kind = json.dumps(body).encode(), {"content-type": "application/json"}
    if form is not None:
        data = urllib.parse.urlencode(form).encode()
    try:
        with OPENER.open(urllib.request.Request(url, data, kind), timeout=ANSWER_SECONDS_MAX) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        raise Refused(error.read().decode(errors="replace")[:300]) from error


class Prometheus:
    def __init__(self, url):
        self.url = url

    def now(self, expr):
        """The series that an expression has at this moment."""
        return ask(f"{self.url}/api/v1/query", form={"query": expr})["data"]["result"]

    def lately(self, expr, seconds=120, step=2):
        """As a graph asks for it."""
        end = time.time()
        form = {"query": expr, "start": end - seconds, "end": end, "step": step}
        return ask(f"{self.url}/api/v1/query_range", form=form)["data"]["result"]

    def exemplars(self, expr, seconds=600):
        end = time.time()
        found = ask(f"{self.url}/api/v1/query_exemplars", form={"query": expr, "start": end - seconds, "end": end})["data"]
        return [exemplar["labels"] for series in found for exemplar in series["exemplars"]]

    def names(self):
        return set(ask(f"{self.url}/api/v1/label/__name__/values")["data"])

    def metadata(self):
        return ask(f"{self.url}/api/v1/metadata")["data"]

    def rules(self):
        groups = ask(f"{self.url}/api/v1/rules")["data"]["groups"]
        return [rule for group in groups for rule in group["rules"]]


class Elasticsearch:
    """Searches as Grafana's data source does: a range of time and a Lucene query, then the newest documents or aggregations."""

    def __init__(self, url, index):
        self.url = f"{url}/{index}"

    def search(self, target):
        end = int(time.time() * 1000)
        span = {"gte": end - 3_600_000, "lte": end, "format": "epoch_millis"}
        lucene = {"query_string": {"query": target["query"], "analyze_wildcard": True}}
        body = {"size": 0, "query": {"bool": {"filter": [{"range": {target["timeField"]: span}}, lucene]}}}
        metric = target["metrics"][0]
        if metric["type"] == "raw_data":
            order = {target["timeField"]: {"order": "desc", "unmapped_type": "boolean"}}
            body.update(size=int(metric["settings"]["size"]), sort=[order])
            return [hit["_source"] for hit in ask(f"{self.url}/_search", body)["hits"]["hits"]]
        measure = {}
        if metric["type"] != "count":
            measure = {metric["id"]: {metric["type"]: {"field": metric["field"], **numbers(metric.get("settings", {}))}}}
        inner = measure
        for bucket in reversed(target["bucketAggs"]):
            # Grafana asks for what it orders by beside the buckets.
            is_order = bucket.get("settings", {}).get("orderBy", "").startswith(metric["id"] + "[")
            inner = {bucket["id"]: {**aggregation(bucket), "aggs": {**inner, **(measure if is_order else {})}}}
        body["aggs"] = inner
        return ask(f"{self.url}/_search", body)["aggregations"][target["bucketAggs"][0]["id"]]["buckets"]

    def documents(self, lucene, size=50):
        body = {"size": size, "query": {"query_string": {"query": lucene}}, "sort": [{"completedAt": "desc"}]}
        return [hit["_source"] for hit in ask(f"{self.url}/_search", body)["hits"]["hits"]]


class Jaeger:
    def __init__(self, url):
        self.url = url

    def spans(self, trace):
        """None while it does not know the trace."""
        try:
            found = ask(f"{self.url}/api/traces/{trace}")["data"] or []
        except Refused:
            return []
        return [span for one in found for span in one["spans"]]


def aggregation(bucket):
    settings = bucket.get("settings", {})
    if bucket["type"] == "date_histogram":
        return {"date_histogram": {"field": bucket["field"], "fixed_interval": "1m", "min_doc_count": 0}}
    return {"terms": {"field": bucket["field"], "size": int(settings["size"]), "order": {settings["orderBy"]: settings["order"]}}}


def numbers(settings):
    return {name: [float(one) for one in value] if isinstance(value, list) else value for name, value in settings.items()}

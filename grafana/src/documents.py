"""Panels over the jobs' documents in Elasticsearch. Their time is `completedAt`, the one that is indexed."""

from urllib.parse import quote

from grafana_foundation_sdk.builders import elasticsearch, table, timeseries
from grafana_foundation_sdk.models.common import VisibilityMode
from grafana_foundation_sdk.models.dashboard import DataTransformerConfig, DynamicConfigValue

from board import DOCUMENTS
from panels import GRAPH_HEIGHT, HALF, WHOLE

TIME = "completedAt"
# The columns of a table of documents, in this order.
COLUMNS = ("completedAt", "jobId", "queue", "status", "attempts", "waitMs", "runMs", "workerId", "error", "traceId")


def explore(store, kind, query):
    """A link that opens a query in Explore; Grafana fills in what begins with a dollar."""
    query = f'{{"refId":"A","datasource":{{"type":"{kind}","uid":"${{{store}}}"}},{query}}}'
    panes = f'{{"t":{{"datasource":"${{{store}}}","queries":[{query}],"range":{{"from":"now-6h","to":"now"}}}}}}'
    return "/explore?schemaVersion=1&panes=" + quote(panes, safe="${}.")


# Traces are in one of the two; the other link finds nothing.
TRACE_LINKS = [
    {"title": "Trace (Tempo)", "url": explore("traces", "tempo", '"queryType":"traceql","query":"${__value.raw}"'), "targetBlank": True},
    {"title": "Trace (Jaeger)", "url": explore("jaeger", "jaeger", '"query":"${__value.raw}"'), "targetBlank": True},
]


def found(title, question, lucene, span=WHOLE, size=100):
    """The newest documents that a Lucene query finds, as a table; each trace id leads to its trace."""
    raw = elasticsearch.RawData().id("1").settings(elasticsearch.ElasticsearchRawDataSettings().size(str(size)))
    query = elasticsearch.Dataquery().query(lucene).metrics([raw]).bucket_aggs([]).time_field(TIME)
    query = query.ref_id("A").datasource(DOCUMENTS)
    order = {name: place for place, name in enumerate(COLUMNS)}
    organize = {"indexByName": order, "includeByName": {name: True for name in COLUMNS}}
    panel = table.Panel().title(title).description(question).span(span).height(GRAPH_HEIGHT)
    panel = panel.datasource(DOCUMENTS).with_target(query)
    panel = panel.with_transformation(DataTransformerConfig(id_val="organize", options=organize))
    for name in ("waitMs", "runMs"):
        panel = panel.override_by_name(name, [DynamicConfigValue(id_val="unit", value="ms")])
    return panel.override_by_name("traceId", [DynamicConfigValue(id_val="links", value=TRACE_LINKS)])


def over_time(title, question, lucene, metric, by, span=HALF, unit="short"):
    """A metric of the documents over time, split by a field, for the ten in which it is highest."""
    split = elasticsearch.Terms().id("2").field(by)
    split = split.settings(elasticsearch.ElasticsearchTermsSettings().size("10").order("desc").order_by(highest(metric.build())))
    time = elasticsearch.DateHistogram().id("3").field(TIME)
    time = time.settings(elasticsearch.ElasticsearchDateHistogramSettings().interval("auto").min_doc_count("0"))
    query = elasticsearch.Dataquery().query(lucene).metrics([metric]).bucket_aggs([split, time]).time_field(TIME)
    query = query.ref_id("A").datasource(DOCUMENTS)
    panel = timeseries.Panel().title(title).description(question).span(span).height(GRAPH_HEIGHT).unit(unit)
    return panel.datasource(DOCUMENTS).show_points(VisibilityMode.NEVER).with_target(query)


def highest(metric):
    """By what Elasticsearch orders; a percentile's name has a point."""
    if metric.type_val == "count":
        return "_count"
    (percent,) = metric.settings.percents
    return f"{metric.id_val}[{float(percent)}]"


def count():
    return elasticsearch.Count().id("1")


def percentile(field, percent):
    settings = elasticsearch.ElasticsearchPercentilesSettings().percents([str(percent)])
    return elasticsearch.Percentiles().id("1").field(field).settings(settings)

"""Exceptions, each with its reason. An exception that is not needed any more is an error."""

# Metrics that Paceline does not serve.
FOREIGN = {
    "up": "Prometheus' own: could a target be scraped?",
    "ALERTS": "Prometheus' own: which alerts are pending or fire",
    "redis_memory_used_bytes": "of redis_exporter, which a site may run beside Redis",
    "redis_memory_max_bytes": "of redis_exporter, which a site may run beside Redis",
}

# Metrics that no panel and no rule uses.
UNUSED = {}

# Queries that may answer nothing in the run of `make dashboards-check`.
SILENT = {
    "redis_exporter.yaml PacelineRedisMemory": "there is no redis_exporter beside the local Redis",
}

# Documented metrics that no role serves in that run.
UNSERVED = {}

# The same, where there is no Jaeger.
SILENT_WITHOUT_TRACES = {
    "Paceline / Traces and latency / Spans": "nobody takes spans",
    "services.yaml PacelineSpansLost": "nobody takes spans",
}
UNSERVED_WITHOUT_TRACES = {"paceline_spans_total": "nobody takes spans"}

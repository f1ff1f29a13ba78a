"""Traces and latency: from a slow dot to its trace, and from the trace to the documents of its job."""

import documents
from board import ELASTICSEARCH_UID, board, queues, row, source, text, trace_stores
from panels import HALF, THIRD, WHOLE, Query, graph


def quantile(metric, share):
    return (f"histogram_quantile({share}, sum by (le) "
            f'(rate({metric}_bucket{{job=~"$job",queue=~"$queue"}}[$__rate_interval])))')


def latency(title, question, metric):
    return graph(title, question, "s", Query(quantile(metric, 0.99), "99 of 100", exemplars=True),
                 Query(quantile(metric, 0.5), "half"))


def build():
    trace = text("trace", "Trace", "A trace id of 32 digits, as in logs and documents", "*")
    return (
        board("paceline-traces", "Paceline / Traces and latency",
              "From a slow dot to its trace, and from the trace to the documents of its job.", queues(), trace,
              source("documents", "Documents", "elasticsearch", ELASTICSEARCH_UID),
              *trace_stores())
        .with_row(row("Where the time goes: each dot is a job; its link opens the trace"))
        .with_panel(latency("Wait in the queue", "Is it the queue?", "paceline_job_wait_seconds"))
        .with_panel(latency("Handler", "Is it the work itself?", "paceline_job_run_seconds"))
        .with_panel(latency("From due to stored", "How long does it take in all?", "paceline_job_end_to_end_seconds"))
        .with_panel(
            graph("Store", "Is it Elasticsearch?", "s",
                  Query("histogram_quantile(0.99, sum by (le) (rate(paceline_call_duration_seconds_bucket"
                        '{job=~"$job",service="sink",operation="upsert"}[$__rate_interval])))', "99 of 100", exemplars=True)))
        .with_panel(
            graph("Count", "Is it Redis?", "s",
                  Query("histogram_quantile(0.99, sum by (le) (rate(paceline_call_duration_seconds_bucket"
                        '{job=~"$job",service="ledger",operation="record"}[$__rate_interval])))', "99 of 100", exemplars=True)))
        .with_panel(
            graph("Publish and confirm", "Is it RabbitMQ?", "s",
                  Query("histogram_quantile(0.99, sum by (le) (rate(paceline_call_duration_seconds_bucket"
                        '{job=~"$job",service="broker",operation="publish"}[$__rate_interval])))', "99 of 100", exemplars=True),
                  span=THIRD))
        .with_panel(
            graph("Jobs by the time they took", "How many jobs a second took at most so long, from due to stored?", "ops",
                  Query('sum by (le) (rate(paceline_job_end_to_end_seconds_bucket{job=~"$job",queue=~"$queue"}[$__rate_interval]))',
                        "≤ {{le}} s"), span=HALF))
        .with_panel(
            graph("Spans", "Do traces get to where they are kept?", "ops",
                  Query('sum by (result) (rate(paceline_spans_total{job=~"$job"}[$__rate_interval]))', "{{result}}"), span=HALF))
        .with_row(row("The documents of a trace"))
        .with_panel(
            documents.found("Documents of the trace", "Which job is it, what became of it, and where?", "traceId:$trace",
                            span=WHOLE))
        .with_panel(
            documents.over_time("Wait, from the documents", "How long did the slowest one of twenty wait, by queue?", "*",
                                documents.percentile("waitMs", 95), "queue", unit="ms"))
        .with_panel(
            documents.over_time("Run, from the documents", "Which worker is slower than the others?", "*",
                                documents.percentile("runMs", 95), "workerId", unit="ms"))
    )

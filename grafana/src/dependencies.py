"""Dependencies: how broker, sink and ledger are, as Paceline's calls see them."""

from board import board, row
from panels import GOOD, BAD, HALF, THIRD, Query, graph, states

BLOCKED = {"0": ("takes publishes", GOOD), "1": ("blocked", BAD)}


def service(name, title):
    of = f'job=~"$job",service="{name}"'
    return (
        graph(f"{title}: calls a second", f"What is asked of the {name}, and how often?", "reqps",
              Query(f"sum by (operation) (rate(paceline_call_duration_seconds_count{{{of}}}[$__rate_interval]))",
                    "{{operation}}")),
        graph(f"{title}: 95 of 100 within", f"How long does the {name} take to answer?", "s",
              Query("histogram_quantile(0.95, sum by (le, operation) "
                    f"(rate(paceline_call_duration_seconds_bucket{{{of}}}[$__rate_interval])))", "{{operation}}",
                    exemplars=True)),
        graph(f"{title}: errors a second", f"Which calls to the {name} fail, and how?", "reqps",
              Query(f"sum by (operation, kind) (rate(paceline_call_errors_total{{{of}}}[$__rate_interval])) or vector(0)",
                    "{{operation}} {{kind}}")),
    )


def build():
    made = board("paceline-dependencies", "Paceline / Dependencies",
                 "How broker, sink and ledger are, as Paceline's calls see them.")
    for name, title in (("broker", "Broker (RabbitMQ)"), ("sink", "Sink (Elasticsearch)"), ("ledger", "Ledger (Redis)")):
        made = made.with_row(row(title))
        for panel in service(name, title):
            made = made.with_panel(panel)
    return (
        made.with_row(row("Connections and producers"))
        .with_panel(
            graph("Connections made anew", "How often did a connection to the broker break?", "short",
                  Query('sum by (instance) (increase(paceline_connections_rebuilt_total{job=~"$job"}[$__rate_interval]))',
                        "{{instance}}")))
        .with_panel(
            states("Blocked", "When did the broker take no publishes, for lack of memory or disk?",
                   Query('paceline_broker_blocked{job=~"$job"}', "{{role}} {{instance}}"), names=BLOCKED, span=THIRD))
        .with_panel(
            graph("Producers", "Does a producer stand behind an open breaker?", "short",
                  Query('paceline_producers_available{job=~"$job"}', "{{instance}} sees available"),
                  Query('paceline_producers{job=~"$job"}', "{{instance}} has configured")))
        .with_panel(
            graph("Publishes by result", "What does the broker say to what is published?", "ops",
                  Query('sum by (result) (rate(paceline_publish_jobs_total{job=~"$job"}[$__rate_interval]))', "{{result}}"),
                  span=HALF))
        .with_panel(
            graph("Bytes on their way", "How much is sent and not yet confirmed?", "bytes",
                  Query('paceline_publish_in_flight_bytes{job=~"$job"}', "{{instance}}"), span=HALF))
    )

"""Queues: what waits where, what becomes of it, and how the references' thresholds are met."""

from board import board, queues, row
from panels import HALF, THIRD, Query, graph

DEPTH = 'max by (queue, group, state) (paceline_queue_jobs{job=~"$job",queue=~"$queue"%s})'


def quantile(metric, share):
    return (f"histogram_quantile({share}, sum by (le, queue) "
            f'(rate({metric}_bucket{{job=~"$job",queue=~"$queue"}}[$__rate_interval])))')


def latency(title, question, metric):
    return graph(title, question, "s",
                 Query(quantile(metric, 0.5), "{{queue}}, half", exemplars=True),
                 Query(quantile(metric, 0.95), "{{queue}}, 95 of 100"),
                 Query(quantile(metric, 0.99), "{{queue}}, 99 of 100"))


def build():
    return (
        board("paceline-queues", "Paceline / Queues", "What waits where, and what becomes of it.", queues())
        .with_row(row("What is in them"))
        .with_panel(
            graph("Ready", "How many jobs wait for a worker?", "short",
                  Query(DEPTH % ',state="ready"', "{{queue}} {{group}}"), steps=[(None, "transparent"), (15000, "orange")]))
        .with_panel(
            graph("At work and delayed", "How many jobs do workers hold, and how many wait for their next attempt?", "short",
                  Query(DEPTH % ',state=~"unacked|delayed"', "{{queue}} {{group}} {{state}}")))
        .with_panel(
            graph("Dead letters", "How many dead messages wait for a person?", "short",
                  Query(DEPTH % ',state="dead"', "{{queue}} {{group}}")))
        .with_panel(
            graph("Coming and going", "Do workers end as many jobs as are published?", "ops",
                  Query('sum(rate(paceline_publish_jobs_total{job=~"$job",result="confirmed"}[$__rate_interval]))',
                        "published, all queues"),
                  Query('sum by (queue) (rate(paceline_jobs_total{job=~"$job",queue=~"$queue",outcome!="retried"}[$__rate_interval]))',
                        "ended, {{queue}}")))
        .with_panel(
            graph("Consumers", "Does anybody listen to the queue? Zero is a deaf worker.", "short",
                  Query('sum by (queue) (paceline_consumers_open{job=~"$job",queue=~"$queue"})', "{{queue}}")))
        .with_panel(
            graph("Error ratio", "Which share of the jobs that ended is dead?", "percentunit",
                  Query('paceline:job_error:ratio5m{job=~"$job",queue=~"$queue"}', "{{queue}}"),
                  steps=[(None, "transparent"), (0.1, "orange"), (0.2, "red")]))
        .with_row(row("How long it takes"))
        .with_panel(latency("Wait", "How long does a job wait between its publish and a worker's hands?",
                            "paceline_job_wait_seconds"))
        .with_panel(latency("Run", "How long does the handler work?", "paceline_job_run_seconds"))
        .with_panel(latency("From due to stored", "How long does the whole way take?", "paceline_job_end_to_end_seconds"))
        .with_row(row("What went wrong"))
        .with_panel(
            graph("Retries by reason", "Why are jobs tried again?", "ops",
                  Query('sum by (queue, reason) '
                        '(rate(paceline_job_retries_total{job=~"$job",queue=~"$queue"}[$__rate_interval]))',
                        "{{queue}}: {{reason}}"), span=HALF))
        .with_panel(
            graph("Deaths by reason", "Why are jobs given up?", "ops",
                  Query('sum by (queue, reason) '
                        '(rate(paceline_job_deaths_total{job=~"$job",queue=~"$queue"}[$__rate_interval]))',
                        "{{queue}}: {{reason}}"), span=HALF))
        .with_panel(
            graph("Jobs of an outcome", "How do jobs end?", "ops",
                  Query('sum by (queue, outcome) (rate(paceline_jobs_total{job=~"$job",queue=~"$queue"}[$__rate_interval]))',
                        "{{queue}} {{outcome}}")))
        .with_panel(
            graph("Came again", "How many jobs came again that had been counted before?", "ops",
                  Query('sum(rate(paceline_duplicate_jobs_total{job=~"$job"}[$__rate_interval]))', "duplicates")))
        .with_panel(
            graph("Nobody's jobs", "How many jobs came that no run had reserved?", "ops",
                  Query('sum(rate(paceline_foreign_jobs_total{job=~"$job"}[$__rate_interval]))', "foreign"), span=THIRD))
    )

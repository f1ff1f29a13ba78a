"""Mesh overview: is all well, and if not, where to look."""

from board import board, row
from panels import BAD, GOOD, HALF, THIRD, WARN, Query, graph, number, rows, states

WELL = {"0": ("no", BAD), "1": ("yes", GOOD)}


def build():
    return (
        board("paceline-mesh", "Paceline / Mesh overview", "Is all well, and if not, where to look.")
        .with_panel(
            number("Not ready", "How many roles say that they can't work right now?", "short",
                   Query('count(paceline_ready{job=~"$job"} == 0) or 0 * count(paceline_ready{job=~"$job"})'),
                   steps=[(None, GOOD), (1, BAD)]))
        .with_panel(
            number("Not scraped", "How many processes does Prometheus not reach?", "short",
                   Query('count(up{job=~"$job"} == 0) or 0 * count(up{job=~"$job"})'), steps=[(None, GOOD), (1, BAD)]))
        .with_panel(
            number("Alerts", "How many alerts fire now?", "short",
                   Query('count(ALERTS{alertname=~"Paceline.+", alertstate="firing"}) or vector(0)'),
                   steps=[(None, GOOD), (1, BAD)]))
        .with_panel(
            number("Runs", "How many runs are going on, and have an owner?", "short",
                   Query('sum(paceline_runs_owned{job=~"$job"})')))
        .with_panel(
            number("Held back", "How many runs wait because their queue is above high water?", "short",
                   Query('sum(paceline_runs_held_back{job=~"$job"})'), steps=[(None, GOOD), (1, WARN)]))
        .with_panel(
            number("Producers", "How many producers take ranges, as the scheduler that sees the fewest sees them?", "short",
                   Query('min(paceline_producers_available{job=~"$job"})'), steps=[(None, BAD), (1, GOOD)]))
        .with_row(row("The way of the jobs"))
        .with_panel(
            graph("Jobs a second, step by step", "Does each step keep up with the one before it?", "ops",
                  Query('sum(rate(paceline_jobs_enqueued_total{job=~"$job"}[$__rate_interval]))', "reserved"),
                  Query('sum(rate(paceline_jobs_published_total{job=~"$job"}[$__rate_interval]))', "published"),
                  Query('sum(rate(paceline_jobs_total{job=~"$job",outcome="completed"}[$__rate_interval]))', "completed"),
                  Query('sum(rate(paceline_jobs_total{job=~"$job",outcome="dead"}[$__rate_interval]))', "dead"),
                  Query('sum(rate(paceline_jobs_total{job=~"$job",outcome="retried"}[$__rate_interval]))', "tried again")))
        .with_panel(
            graph("From due to stored", "How long does a job take from the moment it is due until it is stored and counted?", "s",
                  Query("histogram_quantile(0.5, sum by (le) "
                        '(rate(paceline_job_end_to_end_seconds_bucket{job=~"$job"}[$__rate_interval])))', "half", exemplars=True),
                  Query("histogram_quantile(0.95, sum by (le) "
                        '(rate(paceline_job_end_to_end_seconds_bucket{job=~"$job"}[$__rate_interval])))', "95 of 100"),
                  Query("histogram_quantile(0.99, sum by (le) "
                        '(rate(paceline_job_end_to_end_seconds_bucket{job=~"$job"}[$__rate_interval])))', "99 of 100")))
        .with_panel(
            graph("Jobs in the queues", "Does work pile up, and in which state?", "short",
                  Query('sum by (state) (max by (queue, group, state) (paceline_queue_jobs{job=~"$job"}))', "{{state}}"),
                  stacked=True))
        .with_row(row("The processes"))
        .with_panel(
            states("Ready", "Which role was unable to work, and when?",
                   Query('paceline_ready{job=~"$job"}', "{{role}} {{instance}}"), names=WELL))
        .with_panel(
            rows("What is red", "Which check of /readyz fails, and at which process?",
                 Query('paceline_condition_ok{job=~"$job"} == 0'),
                 hidden=("Value",), span=HALF))
        .with_panel(
            rows("Builds", "Which version runs where?", Query('paceline_build_info{job=~"$job"}'),
                 hidden=("Value",), span=HALF))
        .with_panel(
            graph("Warnings and errors in the logs", "Does a process complain more than usual?", "ops",
                  Query('sum by (level, role) (rate(paceline_log_events_total{job=~"$job"}[$__rate_interval]))',
                        "{{level}} {{role}}"), span=HALF))
        .with_row(row("Calls to Paceline (gRPC)"))
        .with_panel(
            graph("Calls a second", "Who asks for what, and how often?", "reqps",
                  Query('sum by (method) (rate(paceline_grpc_duration_seconds_count{job=~"$job"}[$__rate_interval]))',
                        "{{method}}")))
        .with_panel(
            graph("Answers that are not OK", "Which calls fail, and how?", "reqps",
                  Query('sum by (method, code) (rate(paceline_grpc_duration_seconds_count{job=~"$job",code!="OK"}[$__rate_interval]))'
                        ' or vector(0)', "{{method}} {{code}}")))
        .with_panel(
            graph("95 of 100 answers within", "How long does a caller wait for an answer?", "s",
                  Query("histogram_quantile(0.95, sum by (le, method) "
                        '(rate(paceline_grpc_duration_seconds_bucket{job=~"$job"}[$__rate_interval])))', "{{method}}"),
                  span=THIRD))
    )

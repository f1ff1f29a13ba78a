"""Run: does it keep its pace, and do its numbers close? Two schedulers may show the same run: `max by` takes the newer."""

import documents
from board import ELASTICSEARCH_UID, board, row, runs, source, trace_stores
from panels import BAD, GOOD, HALF, THIRD, WARN, Query, graph, number

ENQUEUED = 'max(paceline_run_enqueued_jobs_total{job=~"$job",run="$run"})'
PUBLISHED = 'max(paceline_run_published_jobs_total{job=~"$job",run="$run"})'
PROCESSED = 'max by (group) (paceline_run_processed_jobs_total{job=~"$job",run="$run"})'
DEAD = 'max by (group) (paceline_run_dead_jobs{job=~"$job",run="$run"})'
# Of one scheduler together: a dead job that is redriven moves from one to the other.
ENDED = ('max by (group) (paceline_run_processed_jobs_total{job=~"$job",run="$run"}'
         ' + paceline_run_dead_jobs{job=~"$job",run="$run"})')


def build():
    return (
        board("paceline-run", "Paceline / Run", "Does the run keep its pace, and do its numbers close?", runs(),
              source("documents", "Documents", "elasticsearch", ELASTICSEARCH_UID),
               *trace_stores())
        .with_row(row("The law: enqueued ≥ published, and enqueued ≥ processed + dead"))
        .with_panel(number("Enqueued", "How many jobs exist, durably, since the run began?", "short", Query(ENQUEUED)))
        .with_panel(number("Published", "How many has the broker confirmed?", "short", Query(PUBLISHED)))
        .with_panel(number("Processed", "How many are counted as completed, in the group that has the fewest?", "short",
                           Query(f"min({PROCESSED})")))
        .with_panel(number("Dead", "How many were given up, in the group that has the most?", "short",
                           Query(f"max({DEAD})"), steps=[(None, GOOD), (1, WARN)]))
        .with_panel(number("In flight", "How many are enqueued and have not ended yet, in the group that lags most?", "short",
                           Query(f"{ENQUEUED} - min({ENDED})"), steps=[(None, BAD), (0, GOOD)]))
        .with_panel(number("Owner's epoch", "Has the run an owner, and how often has it changed hands?", "short",
                           Query('max(paceline_run_owner_epoch{job=~"$job",run="$run"})'), no_value="no owner"))
        .with_panel(
            graph("The four numbers", "Do published, and processed + dead, stay at or below enqueued?", "short",
                  Query(ENQUEUED, "enqueued"), Query(PUBLISHED, "published"),
                  Query(ENDED, "processed + dead, {{group}}"), Query(DEAD, "dead, {{group}}"), span=HALF))
        .with_panel(
            graph("Room between the numbers", "Is a law broken? Below zero it is.", "short",
                  Query(f"{ENQUEUED} - {PUBLISHED}", "enqueued - published"),
                  Query(f"{ENQUEUED} - max({ENDED})", "enqueued - (processed + dead)"),
                  span=HALF, least=None, steps=[(None, BAD), (0, GOOD)]))
        .with_row(row("The pace"))
        .with_panel(
            graph("Asked and achieved", "Are as many jobs enqueued a second as were asked for?", "ops",
                  Query('max(paceline_run_asked_jobs_per_second{job=~"$job",run="$run"})', "asked"),
                  Query('max(rate(paceline_run_enqueued_jobs_total{job=~"$job",run="$run"}[$__rate_interval]))', "enqueued"),
                  Query('max by (group) (rate(paceline_run_processed_jobs_total{job=~"$job",run="$run"}[$__rate_interval]))',
                        "processed, {{group}}")))
        .with_panel(
            graph("Pace error", "How many jobs are due and not yet enqueued? The law allows one, or 20 ms of work.", "short",
                  Query('max(paceline_run_pace_error_jobs{job=~"$job",run="$run"})', "jobs behind"),
                  Query('clamp_min(0.02 * max(paceline_run_asked_jobs_per_second{job=~"$job",run="$run"}), 1)', "allowed")))
        .with_panel(
            graph("Lateness", "How long after it fell due was the first job of a range reserved, over all runs?", "s",
                  Query("histogram_quantile(0.5, sum by (le) "
                        '(rate(paceline_reserve_lateness_seconds_bucket{job=~"$job"}[$__rate_interval])))', "half"),
                  Query("histogram_quantile(0.99, sum by (le) "
                        '(rate(paceline_reserve_lateness_seconds_bucket{job=~"$job"}[$__rate_interval])))', "99 of 100")))
        .with_row(row("What holds it up, and what was made good"))
        .with_panel(
            graph("Ranges on their way", "Does the run wait for the broker's confirms?", "short",
                  Query('max(paceline_run_outstanding_ranges{job=~"$job",run="$run"})', "awaiting their confirm"),
                  Query('max(paceline_run_window_ranges{job=~"$job",run="$run"})', "may be on their way")))
        .with_panel(
            graph("Jobs sent again", "How many jobs had no place any more and were published again?", "short",
                  Query('max(paceline_run_healed_jobs_total{job=~"$job",run="$run"})', "healed")))
        .with_panel(
            graph("Ranges by result, all runs", "Do producers take what schedulers give them?", "ops",
                  Query('sum by (result) (rate(paceline_ranges_total{job=~"$job"}[$__rate_interval]))', "{{result}}"),
                  span=THIRD))
        .with_row(row("Its documents"))
        .with_panel(
            documents.over_time("Documents by status", "What ended when, and as what?", "runId:$run", documents.count(),
                                "status"))
        .with_panel(
            documents.found("Dead jobs", "Which jobs died, and why? Their trace ids lead to their traces.",
                            "runId:$run AND status:dead", span=HALF))
    )

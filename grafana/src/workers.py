"""Workers and scaling: is there enough of everything, and what runs out first?"""

from board import board, row
from panels import THIRD, Query, graph, number


def build():
    return (
        board("paceline-workers", "Paceline / Workers and scaling", "Is there enough of everything, and what runs out first?")
        .with_row(row("Are more workers needed? Each number with the limit from which on the answer is yes"))
        .with_panel(
            number("Jobs that wait", "Do more than 15,000 jobs wait in one queue?", "short",
                   Query('max(sum by (queue, group) (max by (queue, group, state) '
                         '(paceline_queue_jobs{job=~"$job",state=~"ready|unacked"})))'),
                   steps=[(None, "green"), (15000, "red")]))
        .with_panel(
            number("99 of 100 within", "Does a job take longer than 2 s?", "s",
                   Query('max(paceline:job_end_to_end_seconds:p99_5m{job=~"$job"})'), steps=[(None, "green"), (2, "red")]))
        .with_panel(
            number("Errors", "Is more than one job of ten dead?", "percentunit",
                   Query('max(paceline:job_error:ratio5m{job=~"$job"})'), steps=[(None, "green"), (0.1, "red")]))
        .with_panel(
            number("CPU in use", "Does a process use more than 90 % of what it may?", "percentunit",
                   Query('max(paceline:cpu:ratio5m{job=~"$job"})'), steps=[(None, "green"), (0.9, "red")]))
        .with_panel(
            number("Memory in use", "Does a process use more than 85 % of what it may?", "percentunit",
                   Query('max(paceline:memory:ratio{job=~"$job"})'), steps=[(None, "green"), (0.85, "red")]))
        .with_panel(
            number("Workers", "How many workers are there?", "short",
                   Query('count(paceline_build_info{job=~"$job",role="worker"})'), steps=[(None, "red"), (1, "green")]))
        .with_row(row("The work"))
        .with_panel(
            graph("Jobs a second, by worker", "Do all workers get a share?", "ops",
                  Query('sum by (instance) (rate(paceline_jobs_total{job=~"$job"}[$__rate_interval]))', "{{instance}}")))
        .with_panel(
            graph("Jobs held", "How many jobs does each worker hold, taken and not settled?", "short",
                  Query('paceline_jobs_held{job=~"$job"}', "{{instance}}")))
        .with_panel(
            graph("Requests to the sink", "How many bulk requests are on their way, and how many may be?", "short",
                  Query('paceline_sink_requests_in_flight{job=~"$job"}', "{{instance}} on their way"),
                  Query('paceline_sink_window_requests{job=~"$job"}', "{{instance}} may be")))
        .with_panel(
            graph("Documents in a request", "How many jobs share a bulk request?", "short",
                  Query("histogram_quantile(0.5, sum by (le) "
                        '(rate(paceline_bulk_documents_bucket{job=~"$job"}[$__rate_interval])))', "half"),
                  Query("histogram_quantile(0.95, sum by (le) "
                        '(rate(paceline_bulk_documents_bucket{job=~"$job"}[$__rate_interval])))', "95 of 100")))
        .with_panel(
            graph("What the sink says", "Does Elasticsearch take the documents?", "ops",
                  Query('sum by (verdict) (rate(paceline_sink_verdicts_total{job=~"$job"}[$__rate_interval]))', "{{verdict}}")))
        .with_panel(
            graph("Standstills", "How often did a process stand still for longer than it may?", "short",
                  Query('sum by (instance) (increase(paceline_stalls_total{job=~"$job"}[$__rate_interval]))', "{{instance}}")))
        .with_row(row("The processes"))
        .with_panel(
            graph("CPU", "How many cores does each process use?", "short",
                  Query('rate(process_cpu_seconds_total{job=~"$job"}[$__rate_interval])', "{{instance}}"),
                  Query('min by (instance) (paceline_cpu_limit_cores{job=~"$job"})', "{{instance}} limit")))
        .with_panel(
            graph("Memory", "Does memory grow?", "bytes",
                  Query('process_resident_memory_bytes{job=~"$job"}', "{{instance}}"),
                  steps=[(None, "transparent"), (500_000_000, "orange")]))
        .with_panel(
            graph("Share of the memory limit", "How near is a process to being killed for its memory?", "percentunit",
                  Query('process_resident_memory_bytes{job=~"$job"} / on (job, instance) '
                        'min by (job, instance) (paceline_process_memory_limit_bytes{job=~"$job"})', "{{instance}}")))
        .with_panel(
            graph("Open files", "Which share of the files that it may open has a process open?", "percentunit",
                  Query('process_open_fds{job=~"$job"} / process_max_fds{job=~"$job"}', "{{instance}}")))
        .with_panel(
            graph("Threads", "Does the number of threads grow?", "short",
                  Query('process_threads{job=~"$job"}', "{{instance}}")))
        .with_panel(
            graph("Up since", "When did a process start anew?", "s",
                  Query('time() - process_start_time_seconds{job=~"$job"}', "{{instance}}"), span=THIRD))
    )

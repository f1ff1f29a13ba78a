//! `docs/metrics.md`, made from the table in [`names`](super::names), so that page and code never differ.

use std::fmt::Write as _;

use super::names::{ALL, Metric, MetricKind, MetricOwner};

const HEAD: &str = "# Metrics

<!-- Made from services/runtime/src/telemetry/metrics/names.rs. Write it anew with:
     WRITE_METRICS_PAGE=1 cargo test -p paceline-runtime the_page_is_the_table -->

Every role serves these metrics on its admin port at `/metrics`, and pushes them as OTLP if told to; see
[observability.md](observability.md#metrics).

The broker is RabbitMQ, the sink is Elasticsearch, the ledger is Redis. A range is a row of consecutive jobs of a run; a scheduler reserves
it whole and gives it to one producer. The owner of a run is the one scheduler that keeps the run's pace. The epoch of a run grows with
each new owner, and the ledger refuses an owner of an older epoch. A breaker keeps ranges away from a producer that fails. A group is a set
of workers that share the jobs of a queue; each group gets every job once.

All metrics but those of the process have the label `role`: scheduler, producer or worker. `paceline dev` shows all its roles on one port,
and the label tells them apart. There, `paceline_spans_total` and `paceline_log_events_total` belong to the whole process and have the role
`dev`.

A job's id is never a label. A run's id is a label only of 20 runs of each scheduler: the newest five that FAILED, then the newest that it
owns, then those that have ended, with their last numbers. After a fail-over two schedulers may show the same run, so ask for `max by (run)`. Every
producer looks at every queue, so ask for `max by (queue, group, state)`. A series appears with its first event: a service that is never called has none.

Times have buckets from 1 ms to 1 h. Histograms marked * carry exemplars: the `trace_id` of a job in that bucket whose trace was recorded.
";

/// The page as it should be.
pub fn page() -> String {
    let mut page = HEAD.to_owned();
    for (part, title) in [
        (MetricOwner::EveryRole, "Every role"),
        (MetricOwner::Process, "The process"),
        (MetricOwner::Grpc, "The API (scheduler, producer)"),
        (MetricOwner::Scheduler, "Scheduler"),
        (MetricOwner::Producer, "Producer"),
        (MetricOwner::Worker, "Worker"),
    ] {
        _ = write!(page, "\n## {title}\n\n| metric | kind | labels | what it says |\n|---|---|---|---|\n");
        ALL.iter().filter(|metric| metric.part == part).for_each(|metric| row(&mut page, metric));
    }
    page
}

fn row(page: &mut String, metric: &Metric) {
    let kind = match metric.kind {
        MetricKind::Counter => "counter",
        MetricKind::Gauge | MetricKind::LowestGauge => "gauge",
        MetricKind::Histogram(_) if metric.has_exemplars => "histogram *",
        MetricKind::Histogram(_) => "histogram",
    };
    let (name, labels, help) = (metric.name, metric.labels.join(", "), metric.help);
    _ = writeln!(page, "| `{name}` | {kind} | {labels} | {help} |");
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    #[test]
    fn the_page_is_the_table() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/metrics.md");
        if std::env::var_os("WRITE_METRICS_PAGE").is_some() {
            std::fs::write(&file, page()).unwrap();
        }
        let found = std::fs::read_to_string(&file).unwrap_or_default();
        let advice = "docs/metrics.md is not what names.rs says; write it anew with: \
                      WRITE_METRICS_PAGE=1 cargo test -p paceline-runtime the_page_is_the_table";
        assert!(found == page(), "{advice}");
    }

    #[test]
    fn names_keep_the_conventions_of_prometheus() {
        let mut names = BTreeSet::new();
        for metric in ALL {
            let name = metric.name;
            assert!(names.insert(name), "{name} is there twice");
            assert!(name.starts_with("paceline_") || metric.part == MetricOwner::Process, "{name}");
            assert_eq!(name.ends_with("_total"), metric.kind == MetricKind::Counter, "{name}");
            assert!(!metric.help.ends_with('.') && !metric.help.contains(['\n', '\\', '|']), "{name}");
            let is_plain = |text: &str| text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
            assert!(is_plain(name) && metric.labels.iter().all(|label| is_plain(label)), "{name}");
            // A job is never a label, and a run only where the newest 20 are shown.
            let has_run = metric.labels.contains(&"run");
            assert!(!metric.labels.contains(&"job") && has_run == name.starts_with("paceline_run_"), "{name}");
            if let MetricKind::Histogram(bounds) = metric.kind {
                assert!(bounds.is_sorted_by(|a, b| a < b), "{name}");
            }
        }
    }
}

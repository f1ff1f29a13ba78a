//! The text that is shown: each family once, roles told apart, exemplars, sums; and that nothing is shown that nobody counted.

use paceline_core::clock::SystemClock;
use paceline_core::trace::TraceId;

use super::names::{self, ALL, MetricKind};
use super::*;

fn dev() -> Metrics {
    Metrics::new("dev", SystemClock::shared())
}

fn lines<'a>(text: &'a str, name: &str) -> Vec<&'a str> {
    text.lines().filter(|line| line.starts_with(name)).collect()
}

#[test]
fn the_roles_of_a_process_share_each_family_and_are_told_apart() {
    let metrics = dev();
    for role in ["producer", "worker"] {
        metrics.of(role).counter(&names::CALL_ERRORS, &["broker", "publish", "unavailable"]).inc();
    }
    metrics.of("worker").counter(&names::CALL_ERRORS, &["broker", "publish", "unavailable"]).inc();
    let text = metrics.text();
    assert_eq!(text.matches("# TYPE paceline_call_errors counter").count(), 1, "{text}");
    assert_eq!(
        lines(&text, "paceline_call_errors_total"),
        [
            r#"paceline_call_errors_total{role="producer",service="broker",operation="publish",kind="unavailable"} 1"#,
            r#"paceline_call_errors_total{role="worker",service="broker",operation="publish",kind="unavailable"} 2"#,
        ]
    );
    assert!(text.ends_with("# EOF\n"));
}

#[test]
fn two_stores_in_one_process_share_nothing() {
    let (one, another) = (dev(), dev());
    one.counter(&names::STALLS, &[]).inc();
    assert!(!another.text().contains("paceline_stalls"));
}

#[test]
fn a_bucket_has_the_trace_of_one_of_its_jobs_and_the_time() {
    let metrics = dev();
    let ran = metrics.histogram(&names::JOB_RUN, &["default"]);
    ran.observe(0.0009);
    ran.observe_as_example(0.02, TraceId(0xabc), 1_700_000_000_500_000);
    let text = metrics.text();
    let buckets = lines(&text, "paceline_job_run_seconds_bucket");
    assert_eq!(buckets.len(), names::SECONDS.len() + 1);
    let trace = TraceId(0xabc);
    let expected = format!(
        r#"paceline_job_run_seconds_bucket{{le="0.025",role="dev",queue="default"}} 2 # {{trace_id="{trace}"}} 0.02 1700000000.5"#
    );
    assert!(buckets.contains(&expected.as_str()), "{buckets:?}");
    assert_eq!(buckets.iter().filter(|line| line.contains("trace_id")).count(), 1);
    assert!(lines(&text, "# UNIT paceline_job_run_seconds seconds").len() == 1, "{text}");
}

#[test]
fn what_is_read_is_summed_or_the_lowest_and_the_unknown_is_absent() {
    let metrics = dev();
    for (held, ready) in [(3_u64, true), (4, false)] {
        metrics.of("worker").read(move |readings| {
            readings.add(&names::JOBS_HELD, &[], held);
            readings.add(&names::READY, &[], ready);
        });
    }
    let text = metrics.text();
    assert_eq!(lines(&text, "paceline_jobs_held"), [r#"paceline_jobs_held{role="worker"} 7"#]);
    assert_eq!(lines(&text, "paceline_ready"), [r#"paceline_ready{role="worker"} 0"#]);
    assert!(!text.contains("paceline_queue_jobs"), "nobody knows it");
    assert_eq!(lines(&text, "process_threads").len(), 1, "and the process has no role");
}

#[test]
fn every_metric_of_the_table_can_be_shown_under_its_own_name() {
    let metrics = dev();
    for metric in ALL {
        let labels = vec!["x\"y\n"; metric.labels.len()];
        match metric.kind {
            MetricKind::Histogram(_) => metrics.histogram(metric, &labels).observe(1.0),
            MetricKind::Counter => _ = metrics.counter(metric, &labels).inc(),
            MetricKind::Gauge | MetricKind::LowestGauge => {
                metrics.read(move |readings| readings.add(metric, &vec!["x\"y\n"; metric.labels.len()], 1_u64));
            }
        }
    }
    let text = metrics.text();
    for metric in ALL {
        let suffix = if matches!(metric.kind, MetricKind::Histogram(_)) { "_count" } else { "" };
        assert!(!lines(&text, &format!("{}{suffix}", metric.name)).is_empty(), "{}", metric.name);
    }
    assert!(!text.contains("x\"y"), "values are escaped");
}

#[test]
fn off_shows_nothing_and_counts_nonetheless() {
    let metrics = Metrics::off();
    assert_eq!(metrics.counter(&names::STALLS, &[]).inc(), 0);
    metrics.histogram(&names::JOB_RUN, &["default"]).observe(1.0);
    assert!(!metrics.is_on() && metrics.text().is_empty());
}

//! Runs that are shown and forgotten, numbers that are not believed, and a pace error that grows while nobody steps.

use std::collections::BTreeMap;
use std::sync::Arc;

use paceline_core::clock::SystemClock;
use paceline_core::ids::RunId;
use paceline_core::ports::leases::Fence;
use paceline_runtime::telemetry::metrics::Metrics;

use super::numbers::RunNumbers;
use super::run::{READ_AGAIN_INTERVAL, STEP_FRESH, ShownRun, lock};
use super::scheduler::{COUNT_FRESH, RUNS_SHOWN_MAX, SchedulerMetrics};
use crate::producers::Producers;

fn all() -> (SchedulerMetrics, Metrics, Arc<Producers>) {
    let producers = Arc::new(Producers::in_process(Vec::new()));
    let metrics = Metrics::new("scheduler", SystemClock::shared());
    (SchedulerMetrics::new(&metrics, &producers), metrics, producers)
}

fn run(number: usize) -> RunId {
    RunId::parse(&format!("run-{number:03}")).unwrap()
}

fn count(text: &str, name: &str) -> usize {
    text.lines().filter(|line| line.starts_with(name)).count()
}

#[tokio::test(start_paused = true)]
async fn the_newest_runs_are_shown_whoever_is_owned_and_no_more_than_that() {
    let (all, metrics, _producers) = all();
    let owned: Vec<_> = (0..RUNS_SHOWN_MAX + 5).map(|n| all.own(&run(n), Fence { epoch: 7 })).collect();
    let text = metrics.text();
    assert_eq!(count(&text, "paceline_run_owner_epoch{"), RUNS_SHOWN_MAX);
    assert!(!text.contains("run-004") && text.contains("run-005") && text.contains("run-024"), "{text}");
    assert!(text.contains("paceline_runs_owned{role=\"scheduler\"} 25"), "{text}");
    drop(owned);
    let text = metrics.text();
    assert_eq!(count(&text, "paceline_run_owner_epoch{"), 0, "nobody owns them here");
    assert_eq!(count(&text, "paceline_run_healed_jobs_total{"), RUNS_SHOWN_MAX, "but they are still shown");
    drop(all.own(&run(0), Fence { epoch: 8 }));
    assert!(!metrics.text().contains("run-000"), "an old one takes no newer one's place");
}

#[tokio::test(start_paused = true)]
async fn what_failed_comes_before_what_is_owned_and_that_before_what_ended() {
    let (all, metrics, _producers) = all();
    let old = all.own(&run(0), Fence { epoch: 7 });
    let failed = all.own(&run(1), Fence { epoch: 7 });
    for number in 2..100 {
        drop(all.own(&run(number), Fence { epoch: 7 }));
    }
    // Older than all that are shown.
    failed.failed();
    drop(failed);
    let text = metrics.text();
    assert!(text.contains(r#"paceline_run_owner_epoch{role="scheduler",run="run-000"} 7"#), "{text}");
    assert!(text.contains(r#"paceline_run_failed{role="scheduler",run="run-001"} 1"#), "{text}");
    assert!(text.contains("run-099") && !text.contains("run-080"), "{text}");
    assert!(lock(&all.0.runs).len() <= 1 + 2 * RUNS_SHOWN_MAX, "the others are forgotten");
    drop(old);
    assert!(!metrics.text().contains("run-000"));
    drop(all.own(&run(1), Fence { epoch: 8 }));
    assert!(!metrics.text().contains("run-001"), "it was resumed, and has ended by now");
}

#[tokio::test(start_paused = true)]
async fn how_many_runs_go_on_is_told_only_while_it_is_known() {
    let (all, metrics, _producers) = all();
    assert!(!metrics.text().contains("paceline_runs_active"));
    all.active(3);
    assert!(metrics.text().contains("paceline_runs_active{role=\"scheduler\"} 3"));
    tokio::time::advance(COUNT_FRESH).await;
    assert!(!metrics.text().contains("paceline_runs_active"), "the ledger is away");
}

#[tokio::test(start_paused = true)]
async fn what_falls_due_while_the_owner_cannot_step_is_pace_error() {
    let (all, metrics, _producers) = all();
    let owned = all.own(&run(1), Fence { epoch: 7 });
    let unknown = ["paceline_run_asked", "paceline_run_pace_error", "paceline_run_outstanding"];
    assert!(unknown.iter().all(|name| !metrics.text().contains(name)), "its owner has not read it yet");
    if let Some(view) = &mut lock(&owned.shown).owner {
        view.asked = Some(10.0);
    }
    let error = || {
        let text = metrics.text();
        let line = text.lines().find(|line| line.starts_with("paceline_run_pace_error_jobs{")).unwrap().to_owned();
        line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()
    };
    owned.stepped(0);
    tokio::time::advance(STEP_FRESH / 2).await;
    assert_eq!(error(), 0, "it steps");
    tokio::time::advance(STEP_FRESH * 3 / 2).await;
    assert_eq!(error(), 20);
    owned.stepped(3);
    assert_eq!(error(), 3);
}

#[tokio::test(start_paused = true)]
async fn runs_that_are_held_back_are_counted_while_they_are() {
    let (all, metrics, _producers) = all();
    let mut owned = all.own(&run(1), Fence { epoch: 7 });
    owned.held(true);
    owned.held(true);
    assert!(metrics.text().contains("paceline_runs_held_back{role=\"scheduler\"} 1"));
    drop(owned);
    assert!(metrics.text().contains("paceline_runs_held_back{role=\"scheduler\"} 0"));
}

fn read(enqueued: u64, processed: u64, dead: u64) -> RunNumbers {
    let groups = BTreeMap::from([("main".to_owned(), (processed, dead))]);
    RunNumbers { enqueued, published: enqueued, groups, has_failed: false }
}

#[tokio::test(start_paused = true)]
async fn numbers_never_go_back_with_the_ledger() {
    let mut shown = ShownRun::default();
    shown.take(Some(read(10, 8, 0)));
    shown.take(Some(read(4, 3, 0)));
    assert_eq!(shown.numbers, Some(read(10, 8, 0)));
    shown.take(None);
    assert_eq!(shown.numbers, Some(read(10, 8, 0)), "the ledger has forgotten the run");
}

#[tokio::test(start_paused = true)]
async fn a_dead_job_that_is_redriven_is_counted_once() {
    let mut shown = ShownRun::default();
    shown.take(Some(read(10, 7, 3)));
    shown.take(Some(read(10, 9, 1)));
    assert_eq!(shown.numbers, Some(read(10, 9, 1)));
}

#[tokio::test(start_paused = true)]
async fn a_run_that_has_ended_is_read_once_more_and_then_now_and_then() {
    let (all, _metrics, _producers) = all();
    let owned = all.own(&run(1), Fence { epoch: 7 });
    let shown = owned.shown.clone();
    let is_wanted = || lock(&shown).is_wanted();
    lock(&shown).take(Some(read(10, 7, 3)));
    assert!(is_wanted(), "it is owned");
    drop(owned);
    assert!(is_wanted());
    lock(&shown).is_stale = false;
    assert!(!is_wanted());
    tokio::time::advance(READ_AGAIN_INTERVAL).await;
    assert!(is_wanted());
}

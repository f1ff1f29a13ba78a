//! All counts of a scheduler, and the newest runs that it has owned.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use paceline_core::ids::RunId;
use paceline_core::ports::Ledger;
use paceline_runtime::lifecycle::Shutdown;
use paceline_runtime::telemetry::metrics::names;
use paceline_runtime::telemetry::metrics::{Counter, Histogram, MetricReadings, Metrics};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::numbers::numbers;
use super::run::{SharedRun, ShownKind, lock};
use crate::producers::Producers;

/// The most runs that are shown: the newest that FAILED, then the newest that this scheduler owns, then the newest of the others.
pub const RUNS_SHOWN_MAX: usize = 20;
/// The most runs shown that FAILED; the other runs share the rest.
const FAILED_SHOWN_MAX: usize = 5;
const READ_INTERVAL: Duration = Duration::from_secs(2);
/// Active runs are counted more often than that. Longer ago, their number is unknown.
pub(super) const COUNT_FRESH: Duration = Duration::from_secs(10);

/// A cheap handle.
#[derive(Clone)]
pub struct SchedulerMetrics(pub(super) Arc<Inner>);

pub(super) struct Inner {
    is_on: bool,
    counts: JobCounts,
    /// The runs that are owned, and some of those that were.
    pub runs: Mutex<BTreeMap<RunId, SharedRun>>,
    /// The number of active runs of the whole mesh, and the time at which they were counted.
    active: Mutex<Option<(usize, Instant)>>,
    pub owned: AtomicUsize,
    pub held: AtomicUsize,
    /// An owner has ended: its run is read once more.
    pub ended: Notify,
}

/// The counts of all runs together.
pub struct JobCounts {
    pub enqueued: Counter,
    pub published: Counter,
    pub confirmed: Counter,
    pub failed: Counter,
    pub lateness: Histogram,
}

impl JobCounts {
    fn new(metrics: &Metrics) -> Self {
        let ranges = |result| metrics.counter(&names::RANGES, &[result]);
        Self {
            enqueued: metrics.counter(&names::JOBS_ENQUEUED, &[]),
            published: metrics.counter(&names::JOBS_PUBLISHED, &[]),
            confirmed: ranges("confirmed"),
            failed: ranges("failed"),
            lateness: metrics.histogram(&names::RESERVE_LATENESS, &[]),
        }
    }
}

impl SchedulerMetrics {
    pub fn new(metrics: &Metrics, producers: &Arc<Producers>) -> Self {
        let counts = JobCounts::new(metrics);
        let (runs, active, owned, held, ended) = Default::default();
        let inner = Arc::new(Inner { is_on: metrics.is_on(), counts, runs, active, owned, held, ended });
        let (shown, producers) = (Arc::downgrade(&inner), Arc::downgrade(producers));
        metrics.read(move |readings| {
            let (Some(inner), Some(producers)) = (shown.upgrade(), producers.upgrade()) else { return };
            inner.show(readings);
            let (usable, all) = producers.counts();
            readings.add(&names::PRODUCERS_AVAILABLE, &[], usable);
            readings.add(&names::PRODUCERS, &[], all);
        });
        Self(inner)
    }

    pub fn counts(&self) -> &JobCounts {
        &self.0.counts
    }

    /// So many runs have not ended, whoever owns them.
    pub fn active(&self, runs: usize) {
        *lock(&self.0.active) = Some((runs, Instant::now()));
    }

    /// Reads the numbers until `shutdown`; not at all if the metrics are off.
    pub async fn keep_reading(&self, ledger: &Ledger, shutdown: &Shutdown) {
        while self.0.is_on && !shutdown.is_triggered() {
            // A ledger that does not answer must not hold up the stop.
            shutdown.or(self.read(ledger)).await;
            let next = async {
                tokio::select! {
                    biased;
                    () = self.0.ended.notified() => (),
                    () = tokio::time::sleep(READ_INTERVAL) => (),
                }
            };
            shutdown.or(next).await;
        }
    }

    /// Reads runs that are owned, runs whose owner has ended since, and now and then the others.
    async fn read(&self, ledger: &Ledger) {
        for (run, shown) in self.0.shown() {
            let groups = {
                let shown = lock(&shown);
                shown.groups.clone().filter(|_| shown.is_wanted())
            };
            let Some(groups) = groups else { continue };
            // Noted before the run is read: an owner that ends meanwhile has the run read again.
            lock(&shown).is_stale = false;
            let read = numbers(ledger, &run, &groups).await;
            let mut shown = lock(&shown);
            match read {
                Ok(read) => shown.take(read),
                // The numbers that were read before stand.
                Err(_) => shown.is_stale = true,
            }
        }
    }
}

impl Inner {
    fn show(&self, readings: &mut MetricReadings) {
        readings.add(&names::RUNS_OWNED, &[], self.owned.load(Ordering::Relaxed));
        readings.add(&names::RUNS_HELD_BACK, &[], self.held.load(Ordering::Relaxed));
        if let Some((runs, _)) = lock(&self.active).filter(|(_, counted_at)| counted_at.elapsed() < COUNT_FRESH) {
            readings.add(&names::RUNS_ACTIVE, &[], runs);
        }
        for (run, shown) in self.shown() {
            lock(&shown).show(&run.to_string(), readings);
        }
    }

    /// The runs that are shown, in their order.
    fn shown(&self) -> Vec<(RunId, SharedRun)> {
        let runs = lock(&self.runs);
        let mut all: Vec<_> = runs.iter().map(|(run, shown)| (lock(shown).kind(), run, shown)).collect();
        all.sort_by(|(kind, run, _), (another, other, _)| (another, other).cmp(&(kind, run)));
        let failed = all.iter().filter(|(kind, ..)| *kind == ShownKind::Failed).count();
        let surplus = failed.saturating_sub(FAILED_SHOWN_MAX);
        let (failed, others) = all.split_at(failed);
        let seen = failed[..failed.len() - surplus].iter().chain(others).take(RUNS_SHOWN_MAX);
        seen.map(|(_, run, shown)| ((*run).clone(), (*shown).clone())).collect()
    }

    /// Keeps the runs that are owned and those that could be shown beside them. Not at each call, because that looks at every run.
    pub fn forget_some(&self) {
        let owned = self.owned.load(Ordering::Relaxed);
        if lock(&self.runs).len() <= owned + 2 * RUNS_SHOWN_MAX {
            return;
        }
        let mut runs = lock(&self.runs);
        let mut others: Vec<_> = runs.iter().map(|(run, shown)| (lock(shown).kind(), run.clone())).collect();
        others.retain(|(kind, _)| *kind != ShownKind::Owned);
        others.sort();
        let surplus = others.len().saturating_sub(RUNS_SHOWN_MAX);
        for (_, run) in &others[..surplus] {
            runs.remove(run);
        }
    }
}

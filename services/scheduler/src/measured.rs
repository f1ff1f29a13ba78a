//! The counts of a scheduler for its metrics, and the numbers of the newest runs that it has owned.
//!
//! Owners say how they keep the pace; what is published, stored and dead is read from the ledger: every two seconds while the run is owned,
//! once more after its owner has ended, and from then on once a minute, because a run that has ended may be repaired or resumed.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use paceline_core::Result;
use paceline_core::groups::Groups;
use paceline_core::ids::RunId;
use paceline_core::ports::Ledger;
use paceline_core::ports::leases::Fence;
use paceline_core::run::{RunRecord, RunState};
use paceline_runtime::lifecycle::Shutdown;
use paceline_runtime::telemetry::metrics::names;
use paceline_runtime::telemetry::metrics::{Counter, Histogram, Metrics, Readings};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::dispatch::RANGES_IN_FLIGHT_MAX;
use crate::producers::Producers;

/// The most runs that are shown: the newest that FAILED, then the newest that this scheduler owns, then the newest of the others.
pub const RUNS_SHOWN_MAX: usize = 20;
/// Of those that FAILED; the others have the rest.
const FAILED_SHOWN_MAX: usize = 5;
const READ_INTERVAL: Duration = Duration::from_secs(2);
/// Of runs that this scheduler does not own any more.
const READ_AGAIN_INTERVAL: Duration = Duration::from_secs(60);
/// Active runs are counted more often than that. Longer ago, their number is unknown.
const COUNT_FRESH: Duration = Duration::from_secs(10);
/// An owner steps more often than that. Longer ago, what has fallen due since belongs to the pace error.
const STEP_FRESH: Duration = Duration::from_secs(1);

type Run = Arc<Mutex<Shown>>;

/// A cheap handle.
#[derive(Clone)]
pub struct Measured(Arc<Inner>);

struct Inner {
    is_on: bool,
    counts: Counts,
    /// Those that are owned, and some of those that were.
    runs: Mutex<BTreeMap<RunId, Run>>,
    /// Of the whole mesh, as of when.
    active: Mutex<Option<(usize, Instant)>>,
    owned: AtomicUsize,
    held: AtomicUsize,
    /// An owner has ended: read its run once more.
    ended: Notify,
}

/// Of all runs together.
pub struct Counts {
    pub enqueued: Counter,
    pub published: Counter,
    pub confirmed: Counter,
    pub failed: Counter,
    pub lateness: Histogram,
}

/// A run as it is shown.
#[derive(Default)]
struct Shown {
    /// `None`: this scheduler does not own it any more.
    owner: Option<View>,
    /// Not known until its owner has read it.
    groups: Option<Groups>,
    numbers: Option<Numbers>,
    has_failed: bool,
    healed: u64,
    /// Its owner has ended since the numbers were read.
    is_stale: bool,
    read_at: Option<Instant>,
}

/// The order in which runs are shown; of the same kind, the newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Other,
    Owned,
    Failed,
}

/// The pace, as the owner keeps it.
struct View {
    epoch: u64,
    /// Jobs a second, 0 while it is not running. `None` until the owner has read the run; nothing else is known before that either.
    asked: Option<f64>,
    /// Due and not reserved after the last step.
    left: u64,
    stepped_at: Instant,
    outstanding: usize,
}

/// From the ledger.
#[derive(Debug, Clone, Default, PartialEq)]
struct Numbers {
    enqueued: u64,
    published: u64,
    /// (processed, dead).
    groups: BTreeMap<String, (u64, u64)>,
    has_failed: bool,
}

/// An owner's word on its run; dropped, it does not own the run any more.
pub struct Owned {
    all: Measured,
    shown: Run,
    is_held: bool,
}

impl Measured {
    pub fn new(metrics: &Metrics, producers: &Arc<Producers>) -> Self {
        let ranges = |result| metrics.counter(&names::RANGES, &[result]);
        let counts = Counts {
            enqueued: metrics.counter(&names::JOBS_ENQUEUED, &[]),
            published: metrics.counter(&names::JOBS_PUBLISHED, &[]),
            confirmed: ranges("confirmed"),
            failed: ranges("failed"),
            lateness: metrics.histogram(&names::RESERVE_LATENESS, &[]),
        };
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

    pub fn counts(&self) -> &Counts {
        &self.0.counts
    }

    /// This scheduler owns the run from now on.
    pub fn own(&self, run: &RunId, fence: Fence) -> Owned {
        let shown = lock(&self.0.runs).entry(run.clone()).or_default().clone();
        let view = View { epoch: fence.epoch, asked: None, left: 0, stepped_at: Instant::now(), outstanding: 0 };
        {
            let mut shown = lock(&shown);
            (shown.owner, shown.has_failed) = (Some(view), false);
        }
        self.0.owned.fetch_add(1, Ordering::Relaxed);
        self.0.forget_some();
        Owned { all: self.clone(), shown, is_held: false }
    }

    /// So many runs have not ended, whoever owns them.
    pub fn active(&self, runs: usize) {
        *lock(&self.0.active) = Some((runs, Instant::now()));
    }

    /// Until `shutdown`; not at all while nobody looks.
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

    /// Runs that are owned, those whose owner has ended since, and now and then the others.
    async fn read(&self, ledger: &Ledger) {
        for (run, shown) in self.0.shown() {
            let groups = {
                let shown = lock(&shown);
                shown.groups.clone().filter(|_| shown.is_wanted())
            };
            let Some(groups) = groups else { continue };
            // Noted before it is read: an owner that ends meanwhile has it read again.
            lock(&shown).is_stale = false;
            let read = numbers(ledger, &run, &groups).await;
            let mut shown = lock(&shown);
            match read {
                Ok(read) => shown.take(read),
                // What was read before stands.
                Err(_) => shown.is_stale = true,
            }
        }
    }
}

/// `None`: the ledger does not know the run any more.
async fn numbers(ledger: &Ledger, run: &RunId, groups: &Groups) -> Result<Option<Numbers>> {
    let mut numbers = Numbers::default();
    for group in groups.iter() {
        let Some(snapshot) = ledger.counts.snapshot(run, group).await? else { return Ok(None) };
        numbers.enqueued = numbers.enqueued.max(snapshot.enqueued);
        numbers.published = numbers.published.max(snapshot.published);
        numbers.groups.insert(group.to_owned(), (snapshot.processed, snapshot.dead));
        numbers.has_failed = snapshot.record.state == RunState::Failed;
        // Workers may be done before a scheduler has noted the confirm; what is done was published.
        numbers.published = numbers.published.max(snapshot.processed.saturating_add(snapshot.dead));
    }
    Ok(Some(numbers))
}

impl Inner {
    fn show(&self, readings: &mut Readings) {
        readings.add(&names::RUNS_OWNED, &[], self.owned.load(Ordering::Relaxed));
        readings.add(&names::BACKLOG_HELD, &[], self.held.load(Ordering::Relaxed));
        if let Some((runs, _)) = lock(&self.active).filter(|(_, counted_at)| counted_at.elapsed() < COUNT_FRESH) {
            readings.add(&names::RUNS_ACTIVE, &[], runs);
        }
        for (run, shown) in self.shown() {
            lock(&shown).show(&run.to_string(), readings);
        }
    }

    /// The runs that are shown, the first first.
    fn shown(&self) -> Vec<(RunId, Run)> {
        let runs = lock(&self.runs);
        let mut all: Vec<_> = runs.iter().map(|(run, shown)| (lock(shown).kind(), run, shown)).collect();
        all.sort_by(|(kind, run, _), (another, other, _)| (another, other).cmp(&(kind, run)));
        let failed = all.iter().filter(|(kind, ..)| *kind == Kind::Failed).count();
        let surplus = failed.saturating_sub(FAILED_SHOWN_MAX);
        let (failed, others) = all.split_at(failed);
        let seen = failed[..failed.len() - surplus].iter().chain(others).take(RUNS_SHOWN_MAX);
        seen.map(|(_, run, shown)| ((*run).clone(), (*shown).clone())).collect()
    }

    /// Keeps what is owned and what could be shown beside it. Not each time, because it looks at every run.
    fn forget_some(&self) {
        let owned = self.owned.load(Ordering::Relaxed);
        if lock(&self.runs).len() <= owned + 2 * RUNS_SHOWN_MAX {
            return;
        }
        let mut runs = lock(&self.runs);
        let mut others: Vec<_> = runs.iter().map(|(run, shown)| (lock(shown).kind(), run.clone())).collect();
        others.retain(|(kind, _)| *kind != Kind::Owned);
        others.sort();
        let surplus = others.len().saturating_sub(RUNS_SHOWN_MAX);
        for (_, run) in &others[..surplus] {
            runs.remove(run);
        }
    }
}

impl Shown {
    fn kind(&self) -> Kind {
        match self.owner {
            Some(_) => Kind::Owned,
            None if self.has_failed => Kind::Failed,
            None => Kind::Other,
        }
    }

    fn is_wanted(&self) -> bool {
        let is_old = self.read_at.is_none_or(|read_at| read_at.elapsed() >= READ_AGAIN_INTERVAL);
        self.owner.is_some() || self.is_stale || is_old
    }

    /// A ledger that went back in time is brought up again; no counter goes back with it. A dead job that is repaired is dead no more.
    fn take(&mut self, read: Option<Numbers>) {
        self.read_at = Some(Instant::now());
        self.has_failed = read.as_ref().is_some_and(|read| read.has_failed);
        let Some(read) = read else { return };
        let known = self.numbers.get_or_insert_default();
        let is_behind = read.enqueued < known.enqueued;
        for (group, (processed, dead)) in read.groups {
            let known = known.groups.entry(group).or_default();
            *known = (known.0.max(processed), if is_behind { known.1 } else { dead });
        }
        known.enqueued = known.enqueued.max(read.enqueued);
        known.published = known.published.max(read.published);
    }

    fn show(&self, run: &str, readings: &mut Readings) {
        readings.add(&names::RUN_FAILED, &[run], self.has_failed);
        if let Some(asked) = self.owner.as_ref().map_or(Some(0.0), |view| view.asked) {
            readings.add(&names::RUN_ASKED, &[run], asked);
        }
        readings.add(&names::RUN_HEALED, &[run], self.healed);
        if let Some(view) = &self.owner {
            if let Some(asked) = view.asked {
                readings.add(&names::RUN_PACE_ERROR, &[run], view.behind(asked));
                readings.add(&names::RUN_OUTSTANDING, &[run], view.outstanding);
            }
            readings.add(&names::RUN_OWNER_EPOCH, &[run], view.epoch);
            readings.add(&names::RUN_WINDOW, &[run], RANGES_IN_FLIGHT_MAX);
        }
        let Some(numbers) = &self.numbers else { return };
        readings.add(&names::RUN_ENQUEUED, &[run], numbers.enqueued);
        readings.add(&names::RUN_PUBLISHED, &[run], numbers.published);
        for (group, (processed, dead)) in &numbers.groups {
            readings.add(&names::RUN_PROCESSED, &[run, group], *processed);
            readings.add(&names::RUN_DEAD, &[run, group], *dead);
        }
    }
}

impl View {
    /// An owner that cannot step, because the ledger is away or the queue too long, falls behind all the same.
    fn behind(&self, asked: f64) -> u64 {
        let since = self.stepped_at.elapsed();
        let missed = if since < STEP_FRESH { 0.0 } else { asked * since.as_secs_f64() };
        self.left.saturating_add(missed as u64)
    }
}

impl Owned {
    pub fn counts(&self) -> &Counts {
        self.all.counts()
    }

    pub fn all(&self) -> &Measured {
        &self.all
    }

    /// The run is as this says.
    pub fn knows(&self, record: &RunRecord) {
        let mut shown = lock(&self.shown);
        if shown.groups.is_none() {
            shown.groups = Some(record.spec.groups.clone());
            self.all.0.ended.notify_one();
        }
        let is_running = record.state == RunState::Running;
        if let Some(view) = &mut shown.owner {
            let asked = Some(if is_running { record.spec.rate.per_second() } else { 0.0 });
            view.left = if is_running { view.left } else { 0 };
            if view.asked != asked {
                // What fell due before fell due at another rate, or not at all.
                (view.asked, view.stepped_at) = (asked, Instant::now());
            }
        }
    }

    /// The run FAILED. It is not read for that: it may be older than all that are shown.
    pub fn failed(&self) {
        lock(&self.shown).has_failed = true;
    }

    /// A step has looked at what is due, and left that much.
    pub fn stepped(&self, left: u64) {
        if let Some(view) = &mut lock(&self.shown).owner {
            (view.left, view.stepped_at) = (left, Instant::now());
        }
    }

    /// So many ranges are on their way, or wait for a producer.
    pub fn outstanding(&self, ranges: usize) {
        if let Some(view) = &mut lock(&self.shown).owner {
            view.outstanding = ranges;
        }
    }

    /// Whether the queue is over the high-water mark.
    pub fn held(&mut self, is_held: bool) {
        match (std::mem::replace(&mut self.is_held, is_held), is_held) {
            (false, true) => _ = self.all.0.held.fetch_add(1, Ordering::Relaxed),
            (true, false) => _ = self.all.0.held.fetch_sub(1, Ordering::Relaxed),
            _ => (),
        }
    }

    /// Jobs are sent again that were lost.
    pub fn healed(&self, jobs: u64) {
        lock(&self.shown).healed += jobs;
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        self.held(false);
        {
            let mut shown = lock(&self.shown);
            (shown.owner, shown.is_stale) = (None, true);
        }
        self.all.0.owned.fetch_sub(1, Ordering::Relaxed);
        self.all.0.forget_some();
        self.all.0.ended.notify_one();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no code panics while it holds the numbers of a run")
}

#[cfg(test)]
#[path = "measured_tests.rs"]
mod tests;

//! What a scheduler counts for its metrics, and the numbers of the newest runs that it has owned.
//!
//! Owners say how they keep the pace; what is published, stored and dead is read from the ledger, every two seconds and once more after an
//! owner has ended, so a run that has ended keeps its last numbers until newer runs take its place.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use paceline_core::groups::Groups;
use paceline_core::ids::RunId;
use paceline_core::ports::Ledger;
use paceline_core::ports::ledger::Fence;
use paceline_core::run::{RunRecord, RunState};
use paceline_runtime::lifecycle::Shutdown;
use paceline_runtime::telemetry::metrics::names;
use paceline_runtime::telemetry::metrics::{Counter, Histogram, Metrics, Readings};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::dispatch::RANGES_IN_FLIGHT_MAX;
use crate::producers::Producers;

/// The most runs that are shown; one newer takes the place of the oldest.
pub const RUNS_SHOWN_MAX: usize = 20;
const READ_INTERVAL: Duration = Duration::from_secs(2);
/// An owner steps more often than that. Longer ago, what has fallen due since belongs to the pace error.
const STEP_FRESH: Duration = Duration::from_secs(1);

/// A cheap handle.
#[derive(Clone)]
pub struct Measured(Arc<Inner>);

struct Inner {
    is_on: bool,
    counts: Counts,
    runs: Mutex<BTreeMap<RunId, Arc<Mutex<Shown>>>>,
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
    healed: u64,
    /// Its owner has ended since the numbers were read.
    is_stale: bool,
}

/// How the owner keeps the pace.
struct View {
    epoch: u64,
    /// Jobs a second; 0 while it is not running.
    asked: f64,
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
}

/// What the owner of a run says; dropped, it does not own it any more.
pub struct Owned {
    all: Measured,
    shown: Arc<Mutex<Shown>>,
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
        let (runs, owned, held, ended) = Default::default();
        let inner = Arc::new(Inner { is_on: metrics.is_on(), counts, runs, owned, held, ended });
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
        let shown = {
            let mut runs = lock(&self.0.runs);
            let shown = runs.entry(run.clone()).or_default().clone();
            while runs.len() > RUNS_SHOWN_MAX {
                runs.pop_first();
            }
            shown
        };
        let view = View { epoch: fence.epoch, asked: 0.0, left: 0, stepped_at: Instant::now(), outstanding: 0 };
        lock(&shown).owner = Some(view);
        self.0.owned.fetch_add(1, Ordering::Relaxed);
        Owned { all: self.clone(), shown, is_held: false }
    }

    /// Until `shutdown`; not at all while nobody looks.
    pub async fn keep_reading(&self, ledger: &dyn Ledger, shutdown: &Shutdown) {
        while self.0.is_on && !shutdown.is_triggered() {
            self.read(ledger).await;
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

    /// Runs that go on, and those whose owner has ended since.
    async fn read(&self, ledger: &dyn Ledger) {
        let runs: Vec<_> = lock(&self.0.runs).iter().map(|(run, shown)| (run.clone(), shown.clone())).collect();
        for (run, shown) in runs {
            let groups = {
                let shown = lock(&shown);
                let is_wanted = shown.owner.is_some() || shown.is_stale;
                shown.groups.clone().filter(|_| is_wanted)
            };
            let Some(groups) = groups else { continue };
            // Noted before it is read: an owner that ends meanwhile has it read again.
            lock(&shown).is_stale = false;
            match numbers(ledger, &run, &groups).await {
                Some(read) => lock(&shown).take(read),
                // What was read before stands.
                None => lock(&shown).is_stale = true,
            }
        }
    }
}

/// `None` if the ledger does not say.
async fn numbers(ledger: &dyn Ledger, run: &RunId, groups: &Groups) -> Option<Numbers> {
    let mut numbers = Numbers::default();
    for group in groups.iter() {
        let snapshot = ledger.snapshot(run, group).await.ok()??;
        numbers.enqueued = numbers.enqueued.max(snapshot.enqueued);
        numbers.published = numbers.published.max(snapshot.published);
        numbers.groups.insert(group.to_owned(), (snapshot.processed, snapshot.dead));
    }
    Some(numbers)
}

impl Inner {
    fn show(&self, readings: &mut Readings) {
        readings.add(&names::RUNS_OWNED, &[], self.owned.load(Ordering::Relaxed));
        readings.add(&names::BACKLOG_HELD, &[], self.held.load(Ordering::Relaxed));
        for (run, shown) in lock(&self.runs).iter() {
            lock(shown).show(&run.to_string(), readings);
        }
    }
}

impl Shown {
    /// A ledger that went back in time is brought up again; no counter goes back with it.
    fn take(&mut self, read: Numbers) {
        let known = self.numbers.get_or_insert_default();
        known.enqueued = known.enqueued.max(read.enqueued);
        known.published = known.published.max(read.published);
        for (group, (processed, dead)) in read.groups {
            let known = known.groups.entry(group).or_default();
            *known = (known.0.max(processed), known.1.max(dead));
        }
    }

    fn show(&self, run: &str, readings: &mut Readings) {
        readings.add(&names::RUN_ASKED, &[run], self.owner.as_ref().map_or(0.0, |view| view.asked));
        readings.add(&names::RUN_HEALED, &[run], self.healed);
        if let Some(view) = &self.owner {
            readings.add(&names::RUN_PACE_ERROR, &[run], view.behind());
            readings.add(&names::RUN_OWNER_EPOCH, &[run], view.epoch);
            readings.add(&names::RUN_OUTSTANDING, &[run], view.outstanding);
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
    fn behind(&self) -> u64 {
        let since = self.stepped_at.elapsed();
        let missed = if since < STEP_FRESH { 0.0 } else { self.asked * since.as_secs_f64() };
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
            view.asked = if is_running { record.spec.rate.per_second() } else { 0.0 };
            view.left = if is_running { view.left } else { 0 };
        }
    }

    /// A step has looked at what is due, and left that much; so many ranges are on their way.
    pub fn stepped(&self, left: u64, outstanding: usize) {
        if let Some(view) = &mut lock(&self.shown).owner {
            (view.left, view.stepped_at, view.outstanding) = (left, Instant::now(), outstanding);
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
        self.all.0.ended.notify_one();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no code panics while it holds the numbers of a run")
}

#[cfg(test)]
mod tests {
    use paceline_core::clock::SystemClock;

    use super::*;

    fn measured() -> (Measured, Metrics, Arc<Producers>) {
        let producers = Arc::new(Producers::in_process(Vec::new()));
        let metrics = Metrics::new("scheduler", SystemClock::shared());
        (Measured::new(&metrics, &producers), metrics, producers)
    }

    fn run(number: usize) -> RunId {
        RunId::parse(&format!("run-{number:03}")).unwrap()
    }

    fn count(text: &str, name: &str) -> usize {
        text.lines().filter(|line| line.starts_with(name)).count()
    }

    #[tokio::test(start_paused = true)]
    async fn the_newest_runs_are_shown_whoever_is_owned_and_no_more_than_that() {
        let (measured, metrics, _producers) = measured();
        let owned: Vec<_> = (0..RUNS_SHOWN_MAX + 5).map(|n| measured.own(&run(n), Fence { epoch: 7 })).collect();
        let text = metrics.text();
        assert_eq!(count(&text, "paceline_run_owner_epoch{"), RUNS_SHOWN_MAX);
        assert!(!text.contains("run-004") && text.contains("run-005") && text.contains("run-024"), "{text}");
        assert!(text.contains("paceline_runs_owned{role=\"scheduler\"} 25"), "{text}");
        drop(owned);
        let text = metrics.text();
        assert_eq!(count(&text, "paceline_run_owner_epoch{"), 0, "nobody owns them here");
        assert_eq!(count(&text, "paceline_run_healed_jobs_total{"), RUNS_SHOWN_MAX, "but they are still shown");
        drop(measured.own(&run(0), Fence { epoch: 8 }));
        assert!(!metrics.text().contains("run-000"), "an old one takes no newer one's place");
    }

    #[tokio::test(start_paused = true)]
    async fn what_falls_due_while_the_owner_cannot_step_is_pace_error() {
        let (measured, metrics, _producers) = measured();
        let owned = measured.own(&run(1), Fence { epoch: 7 });
        if let Some(view) = &mut lock(&owned.shown).owner {
            view.asked = 10.0;
        }
        let error = || {
            let text = metrics.text();
            let line = text.lines().find(|line| line.starts_with("paceline_run_pace_error_jobs{")).unwrap().to_owned();
            line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()
        };
        owned.stepped(0, 1);
        tokio::time::advance(STEP_FRESH / 2).await;
        assert_eq!(error(), 0, "it steps");
        tokio::time::advance(STEP_FRESH * 3 / 2).await;
        assert_eq!(error(), 20);
        owned.stepped(3, 1);
        assert_eq!(error(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn runs_that_are_held_back_are_counted_while_they_are() {
        let (measured, metrics, _producers) = measured();
        let mut owned = measured.own(&run(1), Fence { epoch: 7 });
        owned.held(true);
        owned.held(true);
        assert!(metrics.text().contains("paceline_backlog_held{role=\"scheduler\"} 1"));
        drop(owned);
        assert!(metrics.text().contains("paceline_backlog_held{role=\"scheduler\"} 0"));
    }

    #[test]
    fn numbers_never_go_back() {
        let mut shown = Shown::default();
        let read = |enqueued, processed| Numbers {
            enqueued,
            published: enqueued,
            groups: BTreeMap::from([("main".to_owned(), (processed, 0))]),
        };
        shown.take(read(10, 8));
        shown.take(read(4, 3));
        assert_eq!(shown.numbers, Some(read(10, 8)));
    }
}

//! The callers: they start runs and change them at any scheduler, again at another when that fails, and read snapshots all along.

use std::time::Duration;

use paceline_core::error::ErrorKind;
use paceline_core::ids::{DEFAULT_GROUP, RunId};
use paceline_core::run::{RunState, Snapshot};
use paceline_core::{Error, Result};
use paceline_scheduler::{Scheduler, StartRun, Update};

use super::plan::{Ask, RunPlan};
use super::process::Process;
use super::world::World;

const RETRY_MS: u64 = 150;
const READ_MS: u64 = 700;
/// A caller gives up on one change after so many tries; a start is tried until it works.
const TRIES_MAX: u32 = 40;

/// One run's caller.
pub struct Client {
    pub world: World,
    pub number: usize,
    pub plan: RunPlan,
    /// From here on a run without a total is stopped.
    pub calm_from_ms: u64,
}

impl Client {
    /// Until the run has ended; answers its id.
    pub async fn play(self) -> RunId {
        self.sleep_until(self.plan.start_ms).await;
        let run = self.start().await;
        let changing = async {
            for (at_ms, ask) in &self.plan.asks {
                self.sleep_until(*at_ms).await;
                self.change(&run, *ask).await;
            }
            self.sleep_until(self.calm_from_ms).await;
            self.bring_to_an_end(&run).await;
        };
        let reading = self.read_until_ended(&run);
        tokio::join!(changing, reading);
        run
    }

    /// L10: what is answered with `Ok` is in the ledger from then on; the same request again starts no second run.
    async fn start(&self) -> RunId {
        loop {
            let ask = StartRun {
                jobs: self.plan.jobs,
                per_minutes: self.plan.per_minutes,
                total: self.plan.total,
                catch_up: self.plan.catch_up,
                request_id: format!("request-{}", self.number),
                ..StartRun::default()
            };
            match self.call("start", |scheduler| async move { scheduler.start(ask).await }).await {
                Ok(snapshot) => {
                    let run = snapshot.record.spec.run_id;
                    self.check_accepted(&run);
                    return run;
                }
                Err(_) => self.pause().await,
            }
        }
    }

    fn check_accepted(&self, run: &RunId) {
        let is_there = self.world.state().ledger.number(run).is_some();
        if !is_there {
            self.world.breaks("L10", format!("request-{} is accepted, and its run is not in the ledger", self.number));
        }
    }

    async fn change(&self, run: &RunId, ask: Ask) {
        for _ in 0..TRIES_MAX {
            let done = self.call("change", |scheduler| apply(scheduler, run.clone(), ask)).await;
            match done {
                Ok(_) => return,
                // Too late, or never right: the run's state decides, not the weather.
                Err(error) if !matches!(error.kind, ErrorKind::Unavailable | ErrorKind::Aborted) => return,
                Err(_) => self.pause().await,
            }
        }
    }

    /// A paused run goes on; one without a total is stopped.
    async fn bring_to_an_end(&self, run: &RunId) {
        loop {
            let state = self.world.state().ledger.run(run).map(|record| (record.state, record.spec.total));
            match state {
                Some((RunState::Running | RunState::Paused, None)) => self.change(run, Ask::Stop).await,
                Some((RunState::Paused, Some(_))) => self.change(run, Ask::Resume).await,
                _ => return,
            }
        }
    }

    async fn read_until_ended(&self, run: &RunId) {
        loop {
            tokio::time::sleep(Duration::from_millis(READ_MS)).await;
            if self.read(run).await {
                return;
            }
        }
    }

    /// L1 and L8: a snapshot lies between what was true before the call and what is true after it. Whether the run has ended.
    async fn read(&self, run: &RunId) -> bool {
        let before = self.truth(run);
        let read = self.call("get", |scheduler| async move { scheduler.get(run).await }).await;
        let after = self.truth(run);
        let Ok(snapshot) = read else { return false };
        if let (Some(before), Some(after)) = (before, after) {
            let numbers = |of: &Snapshot| [of.enqueued, of.published, of.processed, of.dead];
            let (low, seen, high) = (numbers(&before), numbers(&snapshot), numbers(&after));
            let is_between = low.iter().zip(seen).zip(high).all(|((low, seen), high)| (*low..=high).contains(&seen));
            if !is_between {
                let words = format!("request-{}: read {seen:?}, between {low:?} and {high:?}", self.number);
                self.world.breaks("L8", words);
            }
            if snapshot.processed + snapshot.dead > snapshot.enqueued {
                self.world.breaks("L1", format!("request-{}: read {seen:?}", self.number));
            }
        }
        snapshot.record.state.is_terminal()
    }

    fn truth(&self, run: &RunId) -> Option<Snapshot> {
        self.world.state().ledger.snapshot(0, run, DEFAULT_GROUP)
    }

    /// Calls one of the schedulers that live; dies with it.
    async fn call<T, F>(&self, name: &str, ask: impl FnOnce(Scheduler) -> F) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let (process, scheduler) = self.any_scheduler()?;
        process.gate().await;
        let answer = Box::pin(process.crash().or(ask(scheduler))).await;
        let answer = answer.unwrap_or_else(|| Err(Error::unavailable("the scheduler died")));
        let end = answer.as_ref().map_or_else(|error| format!("{:?}", error.kind), |_| "ok".into());
        self.world.note(&format!("caller {} asks {} to {name}: {end}", self.number, process.name()));
        answer
    }

    fn any_scheduler(&self) -> Result<(Process, Scheduler)> {
        let state = &mut *self.world.state();
        let alive: Vec<_> = state.schedulers.iter().flatten().collect();
        if alive.is_empty() {
            return Err(Error::unavailable("no scheduler lives"));
        }
        let (process, scheduler) = alive[state.random.usize(0..alive.len())];
        Ok((process.clone(), scheduler.clone()))
    }

    async fn pause(&self) {
        tokio::time::sleep(Duration::from_millis(RETRY_MS)).await;
    }

    async fn sleep_until(&self, at_ms: u64) {
        tokio::time::sleep_until(self.world.start() + Duration::from_millis(at_ms)).await;
    }
}

async fn apply(scheduler: Scheduler, run: RunId, ask: Ask) -> Result<Snapshot> {
    match ask {
        Ask::Rate { jobs, per_minutes } => {
            let update = Update { jobs: Some(jobs), per_minutes: Some(per_minutes), total: None };
            scheduler.update(&run, update).await
        }
        Ask::Total(total) => scheduler.update(&run, Update { total: Some(total), ..Update::default() }).await,
        Ask::Pause => scheduler.pause(&run).await,
        Ask::Resume => scheduler.resume(&run).await,
        Ask::Stop => scheduler.stop(&run).await,
    }
}

//! The callers: they start runs and change them at any scheduler, again at another when that fails, and read snapshots all along.

use std::time::Duration;

use paceline_core::error::ErrorKind;
use paceline_core::ids::{DEFAULT_GROUP, RunId};
use paceline_core::run::{RunState, Snapshot};
use paceline_core::{Error, Result};
use paceline_scheduler::{RunUpdate, SchedulerHandle, StartRun};

use crate::plan::{Ask, Plan, RunPlan};
use crate::process::Process;
use crate::world::World;

const RETRY_MS: u64 = 150;
const READ_MS: u64 = 700;
/// A caller gives up on one change after so many tries; a start is tried until it works.
const TRIES_MAX: u32 = 40;
/// After so long without a fault nobody has anything to say any more that the ledger forgot.
const SETTLED_MS: u64 = 15_000;

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
            let rewinds = self.world.state().laws.rewinds;
            match self.call("start", |scheduler| async move { scheduler.start(ask).await }).await {
                Ok(snapshot) => {
                    let run = snapshot.record.spec.run_id;
                    self.check_accepted(&run, rewinds);
                    return run;
                }
                Err(_) => self.pause().await,
            }
        }
    }

    /// `rewinds`: how often the ledger had gone back in time when the request was made.
    fn check_accepted(&self, run: &RunId, rewinds: u64) {
        let state = self.world.state();
        let is_missing = state.ledger.number(run).is_none() && state.laws.rewinds == rewinds;
        drop(state);
        if is_missing {
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
        while let Some(ask) = last_ask(&self.world, run) {
            self.change(run, ask).await;
        }
    }

    async fn read_until_ended(&self, run: &RunId) {
        loop {
            tokio::time::sleep(Duration::from_millis(READ_MS)).await;
            if self.read(run).await || self.is_forgotten(run) {
                return;
            }
        }
    }

    /// L1 and L8: a snapshot lies between what was true before the call and what is true after it. Whether the run has ended.
    async fn read(&self, run: &RunId) -> bool {
        let (before, rewinds) = (self.truth(run), self.world.state().laws.rewinds);
        let read = self.call("get", |scheduler| async move { scheduler.get(run).await }).await;
        let after = self.truth(run);
        let Ok(snapshot) = read else { return false };
        let went_back = self.world.state().laws.rewinds != rewinds;
        if let (Some(before), Some(after), false) = (before, after, went_back) {
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

    /// The ledger forgot it, all faults are over, and whoever knows it has had the time to say so.
    fn is_forgotten(&self, run: &RunId) -> bool {
        let is_late = self.world.now_ms() > self.calm_from_ms + SETTLED_MS;
        let state = self.world.state();
        is_late && state.laws.rewinds > 0 && state.ledger.number(run).is_none()
    }

    fn truth(&self, run: &RunId) -> Option<Snapshot> {
        self.world.state().ledger.snapshot(0, run, DEFAULT_GROUP)
    }

    /// Calls one of the schedulers that live; dies with it.
    async fn call<T, F>(&self, name: &str, ask: impl FnOnce(SchedulerHandle) -> F) -> Result<T>
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

    fn any_scheduler(&self) -> Result<(Process, SchedulerHandle)> {
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

/// After all faults, where the ledger went back in time: runs may be going on that were stopped, and runs that nobody knows of,
/// because their caller heard nothing and the ledger forgot the request. Until all have ended and stay so.
pub async fn settle(world: &World, plan: &Plan) {
    if world.state().laws.rewinds == 0 {
        return;
    }
    let plan_of_none = RunPlan { asks: Vec::new(), ..plan.runs[0].clone() };
    let (calm_from_ms, number) = (plan.calm_from_ms, plan.runs.len());
    let client = Client { world: world.clone(), number, plan: plan_of_none, calm_from_ms };
    let mut quiet_since_ms = plan.calm_from_ms;
    while world.now_ms() < quiet_since_ms + SETTLED_MS {
        let active = world.state().ledger.active_run_ids();
        if !active.is_empty() {
            quiet_since_ms = world.now_ms();
        }
        for run in active {
            client.bring_to_an_end(&run).await;
        }
        tokio::time::sleep(Duration::from_millis(READ_MS)).await;
    }
}

/// The change that lets a run end, if the run does not end by itself.
fn last_ask(world: &World, run: &RunId) -> Option<Ask> {
    let state = world.state().ledger.run(run).map(|record| (record.state, record.spec.total));
    match state {
        Some((RunState::Running | RunState::Paused, None)) => Some(Ask::Stop),
        Some((RunState::Paused, Some(_))) => Some(Ask::Resume),
        _ => None,
    }
}

async fn apply(scheduler: SchedulerHandle, run: RunId, ask: Ask) -> Result<Snapshot> {
    match ask {
        Ask::Rate { jobs, per_minutes } => {
            let update = RunUpdate { jobs: Some(jobs), per_minutes: Some(per_minutes), total: None };
            scheduler.update(&run, update).await
        }
        Ask::Total(total) => scheduler.update(&run, RunUpdate { total: Some(total), ..RunUpdate::default() }).await,
        Ask::Pause => scheduler.pause(&run).await,
        Ask::Resume => scheduler.resume(&run).await,
        Ask::Stop => scheduler.stop(&run).await,
    }
}

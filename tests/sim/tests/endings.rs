//! Ends of runs are kept in the sink, however long the sink is away and whoever is gone by then. On paused time.

use std::sync::Arc;
use std::time::Duration;

use paceline_core::ids::RunId;
use paceline_core::run::RunChange;
use paceline_core::run::{KeptRun, RunRecord, RunState};
use paceline_runtime::lifecycle::Shutdown;
use paceline_scheduler::{SchedulerHandle, StartRun};
use paceline_sim::plan::{PRODUCERS, Plan, SCHEDULERS};
use paceline_sim::process::{Place, Process, Role};
use paceline_sim::roles::Roles;
use paceline_sim::storm::{Service, Trouble};
use paceline_sim::world::World;
use tokio::task::{AbortHandle, JoinSet};

use crate::stage::Warnings;

/// Of virtual time: longer than any pause between two tries.
const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(50);
/// Whose warnings are counted.
const ENDINGS: &str = "paceline_scheduler::owner::endings";
/// The trouble that a test begins and ends.
const TROUBLE: u32 = 1;

/// Roles without faults, but for the sink's, which schedulers do not reach until a test says so.
struct Stage {
    roles: Roles,
    places: JoinSet<()>,
}

impl Stage {
    fn new() -> Self {
        let world = World::new(7, false, true);
        let plan = Plan { workers: 1, faults: Vec::new(), ..Plan::draw(&mut fastrand::Rng::with_seed(7)) };
        let mut state = world.state();
        state.storm.latency_max_us = 2_000;
        state.schedulers.resize_with(SCHEDULERS, || None);
        state.producers.resize_with(PRODUCERS, || None);
        state.workers.resize_with(1, || None);
        for index in 0..SCHEDULERS {
            let place = Place { role: Role::Scheduler, index };
            state.storm.begin(TROUBLE, Trouble::Partition { place, service: Service::Sink });
        }
        drop(state);
        let roles = Roles { world, plan: Arc::new(plan), ending: Shutdown::new() };
        let mut stage = Self { roles, places: JoinSet::new() };
        stage.start(Role::Producer, 0);
        stage.start(Role::Worker, 0);
        stage
    }

    fn start(&mut self, role: Role, index: usize) -> AbortHandle {
        self.places.spawn(self.roles.clone().live(Place { role, index }))
    }

    fn world(&self) -> &World {
        &self.roles.world
    }

    async fn scheduler(&self, index: usize) -> (Process, SchedulerHandle) {
        until("a scheduler", || self.world().state().schedulers[index].clone()).await
    }

    fn ledger_says(&self, run: &RunId) -> RunRecord {
        self.world().state().ledger.run(run).expect("the run is there")
    }

    async fn until_state(&self, run: &RunId, state: RunState) -> RunRecord {
        until(state.name(), || Some(self.ledger_says(run)).filter(|record| record.state == state)).await
    }

    fn is_kept(&self, run: &RunId) -> bool {
        self.kept(run) == Some(self.ledger_says(run))
    }

    fn kept(&self, run: &RunId) -> Option<KeptRun> {
        self.world().state().sink.kept_run(run)
    }

    fn unkept(&self) -> Vec<RunId> {
        self.world().state().ledger.unkept_run_ids(None, 1_000)
    }

    /// Schedulers reach the sink from now on.
    fn sink_comes_back(&self) {
        self.world().state().storm.end(TROUBLE);
    }

    /// With one scheduler and a sink that refuses so many runs, which have ended. Answers when the last of them has.
    async fn refusing(runs: usize) -> Self {
        let mut stage = Self::new();
        stage.sink_comes_back();
        stage.start(Role::Scheduler, 0);
        let (_, scheduler) = stage.scheduler(0).await;
        let mut refused = Vec::new();
        for _ in 0..runs {
            let run = start(&scheduler, Some(1)).await;
            stage.world().state().sink.refused.insert(run.clone());
            refused.push(run);
        }
        for run in &refused {
            stage.until_state(run, RunState::Completed).await;
        }
        stage.world().state().sink.refusals = 0;
        stage
    }

    async fn until_the_refused_are_kept(&self) {
        let refused = std::mem::take(&mut self.world().state().sink.refused);
        self.until_all_are_kept(&Vec::from_iter(refused)).await;
    }

    async fn until_all_are_kept(&self, runs: &[RunId]) {
        until("all ends to be kept", || self.unkept().is_empty().then_some(())).await;
        runs.iter().for_each(|run| assert!(self.is_kept(run), "{:?}", self.kept(run)));
        assert_eq!(self.world().state().violation, None);
    }
}

async fn until<T>(what: &str, mut is_so: impl FnMut() -> Option<T>) -> T {
    let looking = async {
        loop {
            match is_so() {
                Some(answer) => return answer,
                None => tokio::time::sleep(POLL).await,
            }
        }
    };
    tokio::time::timeout(PATIENCE, looking).await.unwrap_or_else(|_| panic!("no {what} within {PATIENCE:?}"))
}

async fn start(scheduler: &SchedulerHandle, total: Option<u64>) -> RunId {
    let ask = StartRun { jobs: 20, per_minutes: 1.0 / 60.0, total, ..StartRun::default() };
    scheduler.start(ask).await.expect("the run starts").record.spec.run_id
}

#[tokio::test(start_paused = true)]
async fn every_end_is_kept_when_the_sink_comes_back() {
    let mut stage = Stage::new();
    stage.start(Role::Scheduler, 0);
    let (_, scheduler) = stage.scheduler(0).await;
    let completed = start(&scheduler, Some(20)).await;
    let (stopped, failed) = (start(&scheduler, None).await, start(&scheduler, None).await);
    stage.until_state(&completed, RunState::Completed).await;
    scheduler.stop(&stopped).await.expect("it stops");
    stage.until_state(&stopped, RunState::Stopped).await;
    let RunRecord { spec, revision, .. } = stage.ledger_says(&failed);
    let failing = RunChange { expected_revision: revision, spec, state: RunState::Failed };
    stage.world().state().ledger.change_run(0, &failed, &failing).expect("it fails");
    let mut all = [completed, stopped, failed];
    all.sort();

    tokio::time::sleep(Duration::from_secs(45)).await;
    assert_eq!(stage.unkept(), all, "the sink is away, and nobody has forgotten");
    assert!(all.iter().all(|run| !stage.is_kept(run)));
    stage.sink_comes_back();
    stage.until_all_are_kept(&all).await;
}

#[tokio::test(start_paused = true)]
async fn an_end_is_kept_by_another_scheduler_when_its_owner_is_gone() {
    let mut stage = Stage::new();
    let first = stage.start(Role::Scheduler, 0);
    let (process, scheduler) = stage.scheduler(0).await;
    let run = start(&scheduler, Some(20)).await;
    stage.until_state(&run, RunState::Completed).await;
    process.crash().trigger();
    first.abort();
    stage.sink_comes_back();
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(stage.unkept(), std::slice::from_ref(&run), "nobody is there");

    stage.start(Role::Scheduler, 1);
    stage.until_all_are_kept(&[run]).await;
}

/// As two schedulers do whose runs end at the same time, and a page more than one look takes.
#[tokio::test(start_paused = true)]
async fn two_schedulers_keep_many_ends_and_one_that_is_refused_holds_up_no_other() {
    const RUNS: usize = 150;
    let mut stage = Stage::new();
    stage.start(Role::Scheduler, 0);
    stage.start(Role::Scheduler, 1);
    let mut runs = Vec::new();
    for number in 0..RUNS {
        let (_, scheduler) = stage.scheduler(number % 2).await;
        runs.push(start(&scheduler, Some(1)).await);
    }
    runs.sort();
    for run in &runs {
        stage.until_state(run, RunState::Completed).await;
    }
    assert_eq!(stage.unkept(), runs);
    // More than so many failures in a row as end a look, at the beginning of the list.
    let refused = runs[..5].to_vec();
    stage.world().state().sink.refused.extend(refused.iter().cloned());
    stage.sink_comes_back();
    until("the others to be kept", || (stage.unkept() == refused).then_some(())).await;
    assert!(runs[5..].iter().all(|run| stage.is_kept(run)));

    stage.world().state().sink.refused.clear();
    stage.until_all_are_kept(&runs).await;
}

/// The sink knows more of the run than the ledger that ended it: its owner had not yet heard of that.
#[tokio::test(start_paused = true)]
async fn an_end_behind_what_the_sink_keeps_is_opened_and_ends_anew() {
    let mut stage = Stage::new();
    stage.start(Role::Scheduler, 0);
    let (_, scheduler) = stage.scheduler(0).await;
    let run = start(&scheduler, None).await;
    scheduler.stop(&run).await.expect("it stops");
    let ended = stage.until_state(&run, RunState::Stopped).await;
    let further = KeptRun { revision: ended.revision + 4, cursor: ended.cursor + 30, ..ended.clone() };
    stage.world().state().sink.keep_run(&further).expect("it is kept");
    stage.sink_comes_back();
    let has_ended_anew = |after: &RunRecord| after.state == RunState::Stopped && after.revision > further.revision;
    let after = until("the second end", || Some(stage.ledger_says(&run)).filter(has_ended_anew)).await;
    assert_eq!(after.cursor, further.cursor);
    stage.until_all_are_kept(std::slice::from_ref(&run)).await;
}

/// A sink that is late at the beginning, as one is that still makes its indices.
#[tokio::test(start_paused = true)]
async fn a_sink_that_takes_a_second_is_not_worth_a_warning_and_one_that_takes_a_minute_is_worth_one() {
    for (seconds, expected) in [(1, 0), (60, 1)] {
        let (warnings, _guard) = Warnings::heard_from(ENDINGS);
        let stage = Stage::refusing(1).await;
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        assert_eq!(warnings.count(), expected, "after {seconds} s");
        stage.until_the_refused_are_kept().await;
        assert_eq!(warnings.count(), expected, "and it is kept");
    }
}

/// So many that a look ends with the last of them, and the next one finds nothing behind them.
#[tokio::test(start_paused = true)]
async fn a_sink_that_refuses_is_asked_less_and_less_however_many_ends_there_are() {
    for runs in [3, 6] {
        let (warnings, _guard) = Warnings::heard_from(ENDINGS);
        let stage = Stage::refusing(runs).await;
        tokio::time::sleep(Duration::from_secs(60)).await;
        // Pauses of at least a quarter of a second, doubled up to five: 17 looks, and one when an owner has ended, of three ends each.
        let refusals = stage.world().state().sink.refusals;
        assert!((9..=(17 + runs) * 3).contains(&refusals), "{refusals} tries of {runs} runs");
        assert_eq!(warnings.count(), 1, "{runs} runs");
        stage.until_the_refused_are_kept().await;
        assert_eq!(warnings.count(), 1, "{runs} runs, and they are kept");
    }
}

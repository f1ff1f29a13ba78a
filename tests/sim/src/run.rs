//! One seed, from its plan to the verdict.

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use futures::future::join_all;
use paceline_core::ids::RunId;
use paceline_core::seqset::SeqSet;
use paceline_runtime::lifecycle::Shutdown;
use tokio::task::JoinSet;

use crate::client::{self, Client};
use crate::laws::{Broken, Violation};
use crate::mutant::Mutant;
use crate::plan::{PRODUCERS, Plan, SCHEDULERS};
use crate::process::{Place, Process, Role};
use crate::roles::Roles;
use crate::world::World;
use crate::{close, faults, rewind};

/// The longest time from the last fault to the end of a run, in virtual time.
const DRAIN_MAX: Duration = Duration::from_secs(1_800);
const STOP_MAX: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(100);

/// The outcome of a seed.
#[derive(Debug, Clone)]
pub struct Outcome {
    pub seed: u64,
    pub violation: Option<Violation>,
    /// Of the whole trace: the same for every run of a seed.
    pub hash: u64,
    pub steps: u64,
    pub jobs: u64,
    pub virtual_ms: u64,
    pub faults: usize,
    /// The last lines of the trace.
    pub trace: Vec<String>,
}

/// Plays one seed on a runtime of its own. `is_loud`: plan and trace go to stderr.
pub fn simulate(seed: u64, mutant: Option<Mutant>, is_loud: bool) -> Outcome {
    activate(mutant);
    fastrand::seed(seed);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.expect("a runtime of one thread needs nothing");
    let outcome = runtime.block_on(Box::pin(play(seed, is_loud)));
    drop(runtime);
    activate(None);
    outcome
}

#[cfg(feature = "mutants")]
fn activate(mutant: Option<Mutant>) {
    crate::mutant::activate(mutant);
}

#[cfg(not(feature = "mutants"))]
fn activate(mutant: Option<Mutant>) {
    assert!(mutant.is_none(), "this build has no mutants; build it with --features mutants");
}

async fn play(seed: u64, is_loud: bool) -> Outcome {
    let mut random = Rng::with_seed(seed);
    let plan = Arc::new(Plan::draw(&mut random));
    if is_loud {
        eprintln!("{plan:#?}");
    }
    let world = World::new(random.u64(..), is_loud, true);
    let ending = Shutdown::new();
    let mut places = populate(&world, &plan, &ending);
    let verdict = world.broken().or(accomplish(&world, &plan, &ending, &mut places)).await;
    if let Some(Err((law, words))) = verdict {
        world.breaks(law, words);
    }
    let virtual_ms = world.now_ms();
    let state = world.state();
    Outcome {
        seed,
        violation: state.violation.clone(),
        hash: state.trace.hash(),
        steps: state.trace.steps(),
        jobs: state.ledger.runs.iter().map(|entry| entry.record.cursor).sum(),
        virtual_ms,
        faults: plan.faults.len(),
        trace: state.trace.last(),
    }
}

/// Starts every process.
fn populate(world: &World, plan: &Arc<Plan>, ending: &Shutdown) -> JoinSet<()> {
    {
        let mut state = world.state();
        state.laws.is_calm = plan.is_calm();
        state.storm.latency_max_us = plan.latency_max_us;
        state.storm.rejected_of_97 = plan.rejected_of_97;
        state.storm.has_late_effects = plan.has_late_effects;
        state.storm.tells_unacked = plan.tells_unacked;
        state.laws.may_rewind = plan.last_rewind_ms().is_some();
        state.schedulers.resize_with(SCHEDULERS, || None);
        state.producers.resize_with(PRODUCERS, || None);
        state.workers.resize_with(plan.workers, || None);
    }
    if let Some(until_ms) = plan.last_rewind_ms() {
        world.tasks().spawn(rewind::remember(world.clone(), until_ms));
    }
    let roles = Roles { world: world.clone(), plan: plan.clone(), ending: ending.clone() };
    let mut places = JoinSet::new();
    for (role, count) in [(Role::Scheduler, SCHEDULERS), (Role::Producer, PRODUCERS), (Role::Worker, plan.workers)] {
        for index in 0..count {
            places.spawn(roles.clone().live(Place { role, index }));
        }
    }
    places
}

/// Callers and faults at the same time, then the end of every run, then the last look.
async fn accomplish(
    world: &World,
    plan: &Arc<Plan>,
    ending: &Shutdown,
    places: &mut JoinSet<()>,
) -> Result<(), Broken> {
    let clients = plan.runs.iter().enumerate().map(|(number, run)| {
        let world = world.clone();
        Client { world, number, plan: run.clone(), calm_from_ms: plan.calm_from_ms }.play()
    });
    let settling = async {
        faults::strike(world, plan).await;
        client::settle(world, plan).await;
    };
    let playing = async { tokio::join!(join_all(clients), settling).0 };
    let limit = Duration::from_millis(plan.calm_from_ms) + DRAIN_MAX;
    let accepted: Vec<RunId> = tokio::time::timeout(limit, playing).await.map_err(|_| ("L2", stuck(world)))?;
    until(|| world.state().broker.is_idle())
        .await
        .map_err(|()| ("L2", "messages never leave the broker".to_owned()))?;
    // An end that the ledger forgot may open its run once more.
    let is_kept = || {
        let ledger = &world.state().ledger;
        ledger.active_run_ids().is_empty() && ledger.unkept_run_ids(None, 1).is_empty()
    };
    until(is_kept).await.map_err(|()| (close::KEPT, format!("an end is never kept; {}", stuck(world))))?;
    let alive: Vec<usize> = world.state().living().iter().map(Process::number).collect();
    ending.trigger();
    let stopped = async { while places.join_next().await.is_some() {} };
    tokio::time::timeout(STOP_MAX, stopped).await.map_err(|_| ("liveness", "a process does not stop".to_owned()))?;
    close::check(&world.state(), &accepted, &alive)
}

/// Looks until it is so, or for as long as a run may take to end.
async fn until(is_so: impl Fn() -> bool) -> Result<(), ()> {
    let looking = async {
        while !is_so() {
            tokio::time::sleep(POLL).await;
        }
    };
    tokio::time::timeout(DRAIN_MAX, looking).await.map_err(drop)
}

/// The runs and queues that hang, in words.
fn stuck(world: &World) -> String {
    let state = world.state();
    let runs = state.ledger.runs.iter().enumerate().map(|(number, entry)| {
        let counted: u64 = entry.groups.values().map(|group| group.processed + group.dead_count).sum();
        let (record, outstanding) = (&entry.record, entry.outstanding.len());
        let all = entry.groups.values().map(|group| SeqSet::up_to(record.cursor).minus(&group.bits));
        let missing: Vec<u64> = all.flat_map(|missing| missing.iter().take(5).collect::<Vec<_>>()).collect();
        let (state, cursor, total) = (record.state, record.cursor, record.spec.total);
        format!("r{number} {state} {cursor} of {total:?}, {counted} counted, {outstanding} ranges outstanding, missing {missing:?}")
    });
    let runs = runs.chain(state.broker.depths().into_iter().map(|depth| format!("{depth:?}")));
    format!("not ended {} s after the last fault: {}", DRAIN_MAX.as_secs(), runs.collect::<Vec<_>>().join("; "))
}

//! The arm that strikes: every fault of a plan at its time, on the processes, the services and the network of one world.

use std::time::Duration;

use tokio::time::Instant;

use crate::plan::{Fault, Plan};
use crate::process::{Place, Process};
use crate::rewind;
use crate::storm::{Service, Trouble};
use crate::world::World;

/// Every fault at its time; then all of them end.
pub async fn strike(world: &World, plan: &Plan) {
    for (id, (at_ms, fault)) in (0..).zip(&plan.faults) {
        tokio::time::sleep_until(world.start() + Duration::from_millis(*at_ms)).await;
        world.note(&format!("fault {fault:?}"));
        begin(world, id, fault);
    }
    tokio::time::sleep_until(world.start() + Duration::from_millis(plan.calm_from_ms)).await;
    world.note("no more faults");
    let mut state = world.state();
    state.storm.clear();
    state.storm.has_late_effects = false;
    state.living().iter().for_each(Process::disarm);
}

/// Answers without the lock on the world, which every fault takes anew.
fn find(world: &World, place: Place) -> Option<Process> {
    world.state().at_place(place)
}

fn begin(world: &World, id: u32, fault: &Fault) {
    let at = |place: &Place, then: &dyn Fn(Process)| find(world, *place).into_iter().for_each(then);
    match fault {
        Fault::Crash(place) => at(place, &|process| process.crash().trigger()),
        Fault::CrashAtCall { place, calls, is_after_effect } => {
            at(place, &|process| process.crash_in_calls(*calls, *is_after_effect));
        }
        Fault::CrashAtSeam { place, seam, passes } => at(place, &|process| process.crash_at_seam(*seam, *passes)),
        Fault::Restart(place) => at(place, &|process| process.stop().trigger()),
        Fault::Stall { place, ms } => at(place, &|process| stall(world, &process, *ms)),
        Fault::ClockStep { place, by_ms } => at(place, &|process| {
            process.clock().step(*by_ms);
            world.state().laws.clock_set(process.clock().offset_ms());
        }),
        Fault::ConsumersLost(place) => lose_consumers(world, place.and_then(|place| find(world, place))),
        Fault::QueueLost { are_made_again } => lose_queues(world, *are_made_again),
        Fault::LedgerRewound { by_ms } => rewind::rewind(world, *by_ms),
        Fault::Trouble { trouble, ms } => trouble_for(world, id, trouble, *ms),
    }
}

/// The broker may lose patience with somebody who is silent.
fn stall(world: &World, process: &Process, ms: u64) {
    process.stall(Instant::now() + Duration::from_millis(ms));
    lose_later(world, process, ms);
}

fn lose_later(world: &World, process: &Process, within_ms: u64) {
    let after_ms = world.state().random.u64(0..2 * within_ms);
    if after_ms >= within_ms {
        return;
    }
    let (world, process) = (world.clone(), process.clone());
    world.clone().tasks().spawn(async move {
        tokio::time::sleep(Duration::from_millis(after_ms)).await;
        lose_consumers(&world, Some(process));
    });
}

fn lose_consumers(world: &World, process: Option<Process>) {
    let number = process.map(|process| process.number());
    world.step(world.at(0), |state| {
        let lost = state.broker.consumers(number);
        lost.iter().for_each(|(name, consumer)| {
            state.broker.end_consumer(name, *consumer);
        });
        ((), format!("broker loses {} consumers", lost.len()))
    });
}

fn lose_queues(world: &World, are_made_again: bool) {
    world.step(world.at(0), |state| {
        let jobs = state.broker.lose_queues(are_made_again);
        ((), format!("broker loses its queues with {jobs} messages"))
    });
}

fn trouble_for(world: &World, id: u32, trouble: &Trouble, ms: u64) {
    match trouble {
        Trouble::Partition { place, service: Service::Broker } => {
            find(world, *place).iter().for_each(|process| lose_later(world, process, ms));
        }
        Trouble::Down { service: Service::Broker } => lose_consumers(world, None),
        _ => (),
    }
    world.state().storm.begin(id, trouble.clone());
    let ending = world.clone();
    world.tasks().spawn(async move {
        tokio::time::sleep(Duration::from_millis(ms)).await;
        ending.state().storm.end(id);
    });
}

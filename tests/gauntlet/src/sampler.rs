//! Looks at every run 20 times a second, at one scheduler after the other, and at the roles once a second.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use crate::laws::Reading;
use crate::world::{Watched, World};

const SAMPLE_INTERVAL: Duration = Duration::from_millis(50);
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// Calls that may wait for an answer at once; beyond them a sample is left out.
const READS_IN_FLIGHT_MAX: usize = 512;

/// Reads every run that has not ended, again and again. Never returns.
pub async fn sample(world: Arc<World>) {
    let mut ticks = interval(SAMPLE_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut reads = JoinSet::new();
    loop {
        tokio::select! {
            _ = ticks.tick() => (),
            Some(_) = reads.join_next() => continue,
        }
        for run in world.runs().into_iter().filter(|run| !run.watch().last().has_ended()) {
            if reads.len() < READS_IN_FLIGHT_MAX {
                reads.spawn(read(world.clone(), run));
            }
        }
    }
}

async fn read(world: Arc<World>, run: Arc<Watched>) {
    let sent = world.now();
    let answer = world.api.read(&run.id).await;
    let received = world.now();
    let Ok(answer) = answer else {
        world.reads_failed.fetch_add(1, Ordering::Relaxed);
        return;
    };
    let Some(reading) = Reading::of(&answer, sent, received) else {
        return world.violation(format!("L8: run {} is answered without a snapshot", run.name));
    };
    world.snapshots.fetch_add(1, Ordering::Relaxed);
    let wrong = run.watch().take(reading.clone());
    for wrong in wrong {
        world.violation(format!("run {}: {wrong}; {reading:?}", run.name));
    }
}

/// Reports each role that ends by itself, which none may, and notes the memory of the others. Never returns.
pub async fn look_after_roles(world: Arc<World>) {
    let mut ticks = interval(LOOK_INTERVAL);
    let mut reported = std::collections::BTreeSet::new();
    loop {
        ticks.tick().await;
        for (name, role) in &world.roles {
            if let Some(ended) = role.ended().await {
                if reported.insert(name.clone()) {
                    world.violation(ended);
                }
            } else if let Some((now_mb, _)) = role.memory_mb().await {
                reported.remove(name);
                let mut highest = world.memory_max_mb.lock().expect("nobody panics with it");
                let highest = highest.entry(role.kind).or_default();
                *highest = (*highest).max(now_mb);
            }
        }
    }
}

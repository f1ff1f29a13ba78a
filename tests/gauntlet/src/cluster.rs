//! The gauntlet of clusters: three nodes of each service; one node at a time is killed, frozen or cut off while runs go on,
//! most often the leading one. Besides the laws and the proof of every gauntlet: how long jobs stood still has a limit for each
//! service, which is that of its election, every service must have been struck, and in the end every node is asked for itself.
//! A cut is between a node and the roles; for Redis also between the node and its peers. The connections among the nodes of RabbitMQ and of
//! Elasticsearch are never cut; a frozen node comes nearest to that.
//!
//!   plan.rs                                     which node, what is done to it, and how long
//!   proof.rs                                    what the nodes themselves say
//!
//! Here: everything that only clusters need. It may use the course, the world, the faults, the elections and the report; only `main` uses
//! it.

mod plan;
mod proof;

use std::sync::Arc;
use std::time::Duration;

use paceline_proto::v1::StartRunRequest;

use crate::course::{background, end_runs, finish, steady};
use crate::elections::{self, Election};
use crate::faults::plan::QUIET;
use crate::faults::{Struck, strike};
use crate::report::Report;
use crate::world::place::Place;
use crate::world::{Watched, World};

/// The small run's rate, jobs a minute.
const SMALL_PER_MINUTE: u64 = 1_200;
/// Before each strike jobs are done as fast as they come: at most so many seconds behind, for so long. The longest wait for that.
const BEHIND_MAX_S: u64 = 2;
const PACE_KEPT: Duration = Duration::from_secs(2);
const PACE_MAX: Duration = Duration::from_secs(90);
const POLL: Duration = Duration::from_millis(100);

pub async fn run(seed: u64, length: Duration, jobs_per_second: u64, place: Place) -> anyhow::Result<Report> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let world = Arc::new(World::build_cluster(place, &mut rng).await?);
    let _background = background(&world);
    let big = world.start_run("big", steady(jobs_per_second * 60)).await?;
    let small = world.start_run("small", small()).await?;
    tokio::time::sleep(QUIET).await;
    keeps_pace(&world, &big, jobs_per_second).await;

    let struck = carry_out(&world, rng, length, jobs_per_second, &big, &small).await?;
    let struck_until = world.now();
    // Every node is back, and every copy where it belongs.
    world.stack.whole(&[]).await?;
    end_runs(&world, &big, &small).await?;
    let lasted = world.now();
    let mut report = finish(&world, "gauntlet of clusters", seed, lasted, struck, &big).await?;
    report.elections = elections::elections(&report.struck, &report.processed, struck_until);
    report.violations.extend(report.elections.iter().filter_map(Election::violation));
    report.violations.extend(elections::not_struck(&report.struck, length));
    report.violations.extend(proof::every_node(&world, &report.proofs).await?);
    Ok(report)
}

fn small() -> StartRunRequest {
    steady(SMALL_PER_MINUTE)
}

/// One strike after the other, each when jobs keep pace again and the service that is struck has all of its nodes: so a standstill has
/// one cause, and never are two nodes of one service away.
async fn carry_out(
    world: &Arc<World>,
    mut rng: fastrand::Rng,
    length: Duration,
    jobs_per_second: u64,
    big: &Watched,
    small: &Arc<Watched>,
) -> anyhow::Result<Vec<Struck>> {
    let until = world.now() + length;
    let mut struck = Vec::new();
    for (planned, number) in plan::plan(&mut rng).zip(1..) {
        if world.now() >= until {
            break;
        }
        if let Some(service) = planned.blow.node_of() {
            world.stack.whole(&[service]).await?;
        }
        let pause = planned.at;
        struck.push(strike(world.clone(), number, planned, small.clone()).await?);
        tokio::time::sleep(pause).await;
        keeps_pace(world, big, jobs_per_second).await;
    }
    Ok(struck)
}

/// Returns when jobs are done as fast as they come: what is slow from before must not look like a standstill. At the beginning three
/// cold Elasticsearch share two cores with everything else.
async fn keeps_pace(world: &World, run: &Watched, jobs_per_second: u64) {
    let behind = || {
        let watch = run.watch();
        let last = watch.last();
        last.enqueued.saturating_sub(last.processed + last.dead)
    };
    let deadline = world.now() + PACE_MAX;
    let mut well_since = None;
    while world.now() < deadline {
        let is_well = behind() < BEHIND_MAX_S * jobs_per_second && run.watch().readings.len() > 1;
        let since = *well_since.get_or_insert_with(|| world.now());
        if is_well && world.now() - since >= PACE_KEPT {
            return;
        }
        if !is_well {
            well_since = None;
        }
        tokio::time::sleep(POLL).await;
    }
    let last = run.watch().last().clone();
    let (enqueued, counted) = (last.enqueued, last.processed + last.dead);
    world.violation(format!(
        "jobs were done more slowly than they come for {} s: {counted} of {enqueued} enqueued",
        PACE_MAX.as_secs()
    ));
}

//! Disasters that no crash causes, but an operator can: RabbitMQ's data is gone, or Redis comes back from an older file. Both lose things
//! that were promised to be kept, and both must close exactly, because the sink knows which jobs were done.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;

use crate::course::{background, finish, steady};
use crate::faults::plan::QUIET;
use crate::proof;
use crate::report::Report;
use crate::world::api::Change;
use crate::world::place::{Place, say};
use crate::world::roles::Kind;
use crate::world::services::Service;
use crate::world::{Watched, World};

/// The time for which the run goes on before and after the disaster.
const WELL: Duration = Duration::from_secs(10);
/// The time for which messages pile up that will be lost, or effects that the ledger will forget.
const AT_STAKE: Duration = Duration::from_secs(5);
/// The time after the return of the ledger in which an answer from before may still arrive.
const FORGIVEN: Duration = Duration::from_secs(3);

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Disaster {
    /// RabbitMQ is killed and comes back without any of its data.
    RabbitmqWiped,
    /// Redis is killed and comes back from a copy of its append-only file that is some seconds old.
    RedisFromOlderFile,
}

impl Disaster {
    pub const ALL: [Self; 2] = [Self::RabbitmqWiped, Self::RedisFromOlderFile];

    fn name(self) -> &'static str {
        match self {
            Self::RabbitmqWiped => "gauntlet-disaster, RabbitMQ wiped",
            Self::RedisFromOlderFile => "gauntlet-disaster, Redis from an older file",
        }
    }
}

pub async fn run(disaster: Disaster, seed: u64, jobs_per_second: u64, place: Place) -> anyhow::Result<Report> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let world = Arc::new(World::build(place, &mut rng).await?);
    let _background = background(&world);
    let big = world.start_run("big", steady(jobs_per_second * 60)).await?;
    tokio::time::sleep(QUIET + WELL).await;
    let before = big.watch().last().clone();
    match disaster {
        Disaster::RabbitmqWiped => wipe_rabbitmq(&world).await?,
        Disaster::RedisFromOlderFile => {
            // The ledger goes back in time by design; L1 holds all the same.
            put_redis_back(&world, &big).await?;
        }
    }
    let after = big.watch().last().clone();
    say(&format!("{:7.2} s  the disaster is over; before: {before:?}; after: {after:?}", world.now().as_secs_f64()));
    tokio::time::sleep(WELL).await;
    world.api.change(&big.id, &Change::Stop).await?;
    let left = proof::drain(&world).await;
    say(&format!("{:7.2} s  drained, but for {left:?}", world.now().as_secs_f64()));
    finish(&world, disaster.name(), seed, world.now(), Vec::new(), &big).await
}

/// The workers sleep before, so that there is something to lose.
async fn wipe_rabbitmq(world: &World) -> anyhow::Result<()> {
    let workers: Vec<_> = world.roles.values().filter(|role| role.kind == Kind::Worker).collect();
    for worker in &workers {
        worker.freeze().await?;
    }
    tokio::time::sleep(AT_STAKE).await;
    world.stack.kill(Service::RabbitMq).await?;
    world.stack.forget(Service::RabbitMq).await?;
    for worker in &workers {
        worker.wake().await?;
    }
    world.stack.start(Service::RabbitMq).await.context("RabbitMQ does not start without its data")
}

async fn put_redis_back(world: &World, run: &Watched) -> anyhow::Result<()> {
    world.stack.save(Service::Redis).await?;
    tokio::time::sleep(AT_STAKE).await;
    world.stack.kill(Service::Redis).await?;
    run.watch().let_step_back(true);
    world.stack.restore(Service::Redis).await?;
    world.stack.start(Service::Redis).await.context("Redis does not start from its older file")?;
    tokio::time::sleep(FORGIVEN).await;
    run.watch().let_step_back(false);
    Ok(())
}

//! Strikes: does to the world what the plan says, and answers when it began and when it was over.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use futures::future::try_join_all;
use paceline_proto::v1::StartRunRequest;
use prost_types::{Struct, Value, value};
use tokio::time::{Instant, sleep_until};

use super::blow::{Blow, Planned};
use super::node::strike_node;
use crate::recovery::Span;
use crate::world::api::Change;
use crate::world::gate::{Flow, Gate};
use crate::world::place::say;
use crate::world::refusals::Mood;
use crate::world::roles::{Role, signal};
use crate::world::services::Service;
use crate::world::{Watched, World};

/// The share of the documents that is refused where some are.
const REFUSED_PERCENT: u8 = 20;
/// A mapping conflict's run: short, so that many fit.
const CONFLICT_JOBS: u64 = 200;
const CONFLICT_PER_MINUTE: u64 = 6_000;

/// RabbitMQ's own setting, as infra/rabbitmq/rabbitmq.conf has it, and one that it is always above.
const WATERMARK: &str = "vm_memory_monitor:set_vm_memory_high_watermark(0.4).";
const WATERMARK_ALARM: &str = "vm_memory_monitor:set_vm_memory_high_watermark(0.00001).";
const KILL_CHANNELS: &str = "[exit(Channel, kill) || Channel <- rabbit_channel:list()], ok.";

/// A blow that was struck.
#[derive(Debug, Clone)]
pub struct Struck {
    pub number: usize,
    pub planned: Planned,
    pub span: Span,
}

pub async fn strike(world: Arc<World>, number: usize, planned: Planned, small: Arc<Watched>) -> anyhow::Result<Struck> {
    // A fault may last longer than was planned; then the next one on the same thing waits for it.
    let mut holding = Vec::new();
    for thing in planned.blow.holds() {
        holding.push(world.things.get(&thing).with_context(|| format!("no {thing}"))?.lock().await);
    }
    let (name, target) = (planned.blow.name(), planned.blow.target());
    let began = world.now();
    say(&format!("{:7.2} s  #{number} {name}: {target}", began.as_secs_f64()));
    let over = blow(&world, number, &planned, &small).await.with_context(|| format!("#{number} {name}: {target}"))?;
    say(&format!("{:7.2} s  #{number} over", over.as_secs_f64()));
    Ok(Struck { number, planned, span: Span { began, over } })
}

/// Strikes, keeps it up and undoes it; answers when it was over.
async fn blow(world: &World, number: usize, planned: &Planned, small: &Watched) -> anyhow::Result<Duration> {
    let until = Instant::now() + planned.lasts;
    match &planned.blow {
        Blow::KillRole(name) => kill_role(role(world, name)?, until).await?,
        Blow::FreezeRole(name) => freeze_role(role(world, name)?, until).await?,
        Blow::Crash(service) => crash(world, &[*service], until).await?,
        Blow::CrashAll => crash(world, &Service::ALL, until).await?,
        Blow::Freeze(service) => freeze(world, *service, until).await?,
        Blow::Cut(service, whose) => cut(world, *service, whose.as_deref(), until).await,
        Blow::Stall(service, whose) => hold(world, *service, whose.as_deref(), Flow::Stalled, until).await,
        Blow::HalfOpen(service, whose, way) => {
            hold(world, *service, whose.as_deref(), Flow::HalfOpen(*way), until).await;
        }
        Blow::CloseChannels => drop(world.stack.rabbitmq_eval(KILL_CHANNELS).await?),
        Blow::MemoryAlarm => alarm(world, until).await?,
        Blow::SinkRefuses(status) => refuse(world, Mood::Refusing(*status), until).await?,
        Blow::SinkRefusesSome(status) => {
            refuse(world, Mood::RefusingSome { percent: REFUSED_PERCENT, status: *status }, until).await?;
        }
        Blow::MappingConflict => drop(world.start_run(&format!("refused-{number}"), refused_run()).await?),
        Blow::ChangeRate(jobs) => change_rate(world, small, *jobs).await?,
        Blow::Pause => pause(world, small, until).await?,
        Blow::Node(harm, victim) => strike_node(world, *harm, victim, planned.lasts).await?,
    }
    Ok(world.now())
}

fn role<'a>(world: &'a World, name: &str) -> anyhow::Result<&'a Role> {
    world.roles.get(name).with_context(|| format!("no role {name}"))
}

async fn kill_role(role: &Role, until: Instant) -> anyhow::Result<()> {
    role.kill().await?;
    sleep_until(until).await;
    role.start().await
}

async fn freeze_role(role: &Role, until: Instant) -> anyhow::Result<()> {
    role.freeze().await?;
    sleep_until(until).await;
    role.wake().await
}

async fn freeze(world: &World, service: Service, until: Instant) -> anyhow::Result<()> {
    let pid = world.stack.pid(service).await?;
    signal(pid, "STOP").await?;
    sleep_until(until).await;
    signal(pid, "CONT").await
}

/// Resets every connection, and refuses new ones while it lasts.
async fn cut(world: &World, service: Service, whose: Option<&str>, until: Instant) {
    flow(world, service, whose, Flow::Refused);
    world.gates_to(service, whose).for_each(Gate::cut);
    sleep_until(until).await;
    flow(world, service, whose, Flow::Open);
}

async fn hold(world: &World, service: Service, whose: Option<&str>, held: Flow, until: Instant) {
    flow(world, service, whose, held);
    sleep_until(until).await;
    flow(world, service, whose, Flow::Open);
}

async fn alarm(world: &World, until: Instant) -> anyhow::Result<()> {
    world.stack.rabbitmq_eval(WATERMARK_ALARM).await?;
    sleep_until(until).await;
    world.stack.rabbitmq_eval(WATERMARK).await.map(drop)
}

async fn refuse(world: &World, mood: Mood, until: Instant) -> anyhow::Result<()> {
    world.refusals()?.set(mood);
    sleep_until(until).await;
    world.refusals()?.set(Mood::Willing);
    Ok(())
}

async fn change_rate(world: &World, small: &Watched, jobs: u64) -> anyhow::Result<()> {
    small.watch().note_rate(world.now(), jobs as f64 / 60.0);
    world.api.change(&small.id, &Change::Rate { jobs, per_minutes: 1.0 }).await?;
    Ok(())
}

async fn pause(world: &World, small: &Watched, until: Instant) -> anyhow::Result<()> {
    world.api.change(&small.id, &Change::Pause).await?;
    sleep_until(until).await;
    world.api.change(&small.id, &Change::Resume).await?;
    Ok(())
}

fn flow(world: &World, service: Service, whose: Option<&str>, flow: Flow) {
    world.gates_to(service, whose).for_each(|gate| gate.set(flow));
}

/// Kills the services and starts them again; returns when all of them answer.
async fn crash(world: &World, services: &[Service], until: Instant) -> anyhow::Result<()> {
    let kills: Vec<_> = services.iter().map(|service| world.stack.kill(*service)).collect();
    try_join_all(kills).await?;
    sleep_until(until).await;
    let starts: Vec<_> = services.iter().map(|service| world.stack.start(*service)).collect();
    try_join_all(starts).await.map(drop)
}

/// A run whose every document Elasticsearch refuses by itself: a flattened field takes no key with a zero character in it.
fn refused_run() -> StartRunRequest {
    let value = Value { kind: Some(value::Kind::StringValue("a key that no mapping takes".to_owned())) };
    let payload = Some(Struct { fields: [("bad\0key".to_owned(), value)].into_iter().collect() });
    let (jobs, total) = (CONFLICT_PER_MINUTE, Some(CONFLICT_JOBS));
    StartRunRequest { jobs, per_minutes: 1.0, total, payload, ..Default::default() }
}

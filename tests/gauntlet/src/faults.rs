//! Strikes: does to the world what the plan says, and tells when it began and when it was over.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use futures::future::try_join_all;
use paceline_proto::v1::StartRunRequest;
use prost_types::{Struct, Value, value};

use crate::api::Change;
use crate::gate::Flow;
use crate::plan::{Blow, Planned};
use crate::recovery::Span;
use crate::refusals::Mood;
use crate::roles::signal;
use crate::services::Service;
use crate::world::{Watched, World, say};

/// What share of the documents is refused where some are.
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

/// Answers when it was over.
async fn blow(world: &World, number: usize, planned: &Planned, small: &Watched) -> anyhow::Result<Duration> {
    let lasts = tokio::time::sleep(planned.lasts);
    let role = |name: &String| world.roles.get(name).with_context(|| format!("no role {name}"));
    match &planned.blow {
        Blow::KillRole(name) => {
            role(name)?.kill().await?;
            lasts.await;
            role(name)?.start().await?;
        }
        Blow::FreezeRole(name) => {
            role(name)?.freeze().await?;
            lasts.await;
            role(name)?.wake().await?;
        }
        Blow::Crash(service) => crash(world, &[*service], lasts).await?,
        Blow::CrashAll => crash(world, &Service::ALL, lasts).await?,
        Blow::Freeze(service) => {
            let pid = world.stack.pid(*service).await?;
            signal(pid, "STOP").await?;
            lasts.await;
            signal(pid, "CONT").await?;
        }
        Blow::Cut(service, whose) => {
            flow(world, *service, whose.as_deref(), Flow::Refused);
            world.gates_to(*service, whose.as_deref()).for_each(crate::gate::Gate::cut);
            lasts.await;
            flow(world, *service, whose.as_deref(), Flow::Open);
        }
        Blow::Stall(service, whose) => {
            flow(world, *service, whose.as_deref(), Flow::Stalled);
            lasts.await;
            flow(world, *service, whose.as_deref(), Flow::Open);
        }
        Blow::HalfOpen(service, whose, way) => {
            flow(world, *service, whose.as_deref(), Flow::HalfOpen(*way));
            lasts.await;
            flow(world, *service, whose.as_deref(), Flow::Open);
        }
        Blow::CloseChannels => drop(world.stack.rabbitmq_eval(KILL_CHANNELS).await?),
        Blow::MemoryAlarm => {
            world.stack.rabbitmq_eval(WATERMARK_ALARM).await?;
            lasts.await;
            world.stack.rabbitmq_eval(WATERMARK).await?;
        }
        Blow::SinkRefuses(status) => {
            world.refusals()?.set(Mood::Refusing(*status));
            lasts.await;
            world.refusals()?.set(Mood::Willing);
        }
        Blow::SinkRefusesSome(status) => {
            world.refusals()?.set(Mood::RefusingSome { percent: REFUSED_PERCENT, status: *status });
            lasts.await;
            world.refusals()?.set(Mood::Willing);
        }
        Blow::MappingConflict => drop(world.start_run(&format!("refused-{number}"), refused_run()).await?),
        Blow::ChangeRate(jobs) => {
            small.watch().note_rate(world.now(), *jobs as f64 / 60.0);
            world.api.change(&small.id, &Change::Rate { jobs: *jobs, per_minutes: 1.0 }).await?;
        }
        Blow::Pause => {
            world.api.change(&small.id, &Change::Pause).await?;
            lasts.await;
            world.api.change(&small.id, &Change::Resume).await?;
        }
        Blow::Node(harm, victim) => crate::cluster::strike_node(world, *harm, victim, planned.lasts).await?,
    }
    Ok(world.now())
}

fn flow(world: &World, service: Service, whose: Option<&str>, flow: Flow) {
    world.gates_to(service, whose).for_each(|gate| gate.set(flow));
}

/// Over when all of them answer again.
async fn crash(world: &World, services: &[Service], lasts: tokio::time::Sleep) -> anyhow::Result<()> {
    let kills: Vec<_> = services.iter().map(|service| world.stack.kill(*service)).collect();
    try_join_all(kills).await?;
    lasts.await;
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

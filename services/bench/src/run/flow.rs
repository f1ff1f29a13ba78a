//! A run through every role at once, started over gRPC as anybody would, and followed to COMPLETED.

use paceline_core::error::codes;
use paceline_core::ids::RunId;
use paceline_core::pacing::RATE_PER_SECOND_MAX;
use paceline_core::run::{RunState, Snapshot};
use paceline_core::{Error, Result};
use paceline_proto::v1;
use paceline_runtime::status;
use prost_types::value::Kind;
use prost_types::{Struct, Value};

use super::pace::Pace;
use super::probe::{self, Probe};
use super::track::{ended, follow, moment, tally, whole};
use crate::load::LoadSetup;
use crate::numbers::interval::Interval;
use crate::numbers::memory::Memory;
use crate::numbers::tally::BenchTally;
use crate::roles::{Roles, SchedulerCalls};
use crate::stage::Stage;

/// The fastest rate of a run: the limit of the API, jobs a minute.
pub const PER_MINUTE_MAX: u64 = RATE_PER_SECOND_MAX * 60;

/// The jobs to run and their rate.
pub struct Plan {
    pub total: u64,
    pub per_minute: u64,
}

/// A run that was followed to its end, and what was seen of it.
pub struct Flow {
    pub run: RunId,
    /// The time from the call of StartRun to COMPLETED.
    pub interval: Interval,
    /// The rate at which jobs were enqueued; `None` if the run was too short to tell.
    pub enqueued_per_second: Option<f64>,
    pub probe: Probe,
    pub tally: BenchTally,
    pub memory: Memory,
}

pub async fn run(stage: &Stage, roles: &mut Roles<'_>, plan: &Plan, load: &LoadSetup) -> anyhow::Result<Flow> {
    let scheduler = roles.serve().await?;
    roles.work(load)?;
    roles.wait_for_workers(load).await?;
    stage.talk(format!("running {} jobs at {} a minute", plan.total, plan.per_minute));
    let begin = moment(stage, roles, 0)?;
    let run = start(&scheduler, plan, load).await?;
    let (mut end, mut pace, mut memory) = (None, Pace::default(), Memory::default());
    let following = follow(stage, roles, &run, |snapshot, roles| {
        pace.see(snapshot, plan.total);
        memory.see(ended(snapshot), plan.total, || roles.usage())?;
        if snapshot.record.state.is_terminal() {
            end = Some(moment(stage, roles, ended(snapshot))?);
        }
        Ok(end.is_some())
    });
    let (followed, probe) = probe::during(&scheduler, &run, following).await;
    check_end(&followed?)?;
    let interval = Interval { begin, end: end.expect("it was followed to its end") };
    let tally = tally(stage, plan.total).await?;
    Ok(Flow { run, interval, enqueued_per_second: pace.per_second(), probe, tally, memory })
}

async fn start(scheduler: &SchedulerCalls, plan: &Plan, load: &LoadSetup) -> Result<RunId> {
    let request = v1::StartRunRequest {
        jobs: plan.per_minute,
        per_minutes: 1.0,
        total: Some(plan.total),
        payload: Some(payload(load)),
        ..Default::default()
    };
    let mut calls = scheduler.clone();
    let answered = whole(async move { Ok(calls.start_run(request).await) }).await?;
    let run = answered.map_err(|status| status::from_status(&status))?.into_inner().run;
    RunId::parse(&run.unwrap_or_default().run_id)
}

fn payload(load: &LoadSetup) -> Struct {
    let text = |text: serde_json::Value| Kind::StringValue(text.as_str().unwrap_or_default().to_owned());
    let fields = load.payload().into_iter().map(|(key, value)| (key, Value { kind: Some(text(value)) }));
    Struct { fields: fields.collect() }
}

fn check_end(last: &Snapshot) -> Result<()> {
    let record = &last.record;
    if record.state == RunState::Completed {
        return Ok(());
    }
    let reason = record.failure.as_deref().unwrap_or("nobody said why");
    Err(Error::internal(format!("run {} ended as {}: {reason}", record.spec.run_id, record.state))
        .coded(codes::BENCH_BROKE))
}

//! A run through every role at once, started over gRPC as anybody would, and followed to COMPLETED.

use paceline_core::error::codes;
use paceline_core::ids::RunId;
use paceline_core::run::{RunState, Snapshot};
use paceline_core::{Error, Result};
use paceline_proto::v1;
use prost_types::value::Kind;
use prost_types::{Struct, Value};

use super::load::Config;
use super::probe::{self, Probe};
use super::roles::Roles;
use super::stage::Stage;
use super::tally::Tally;
use super::track::{Interval, Memory, Moment, ended, follow, whole};
use crate::client::Scheduler;

/// The fastest rate of a run: the limit of the API, jobs a minute.
pub const PER_MINUTE_MAX: u64 = 60_000_000;

/// What to run.
pub struct Plan {
    pub total: u64,
    pub per_minute: u64,
}

/// What it was like.
pub struct Flow {
    pub run: RunId,
    /// From the call of StartRun to COMPLETED.
    pub interval: Interval,
    /// The rate at which jobs were enqueued; `None` if the run was too short to tell.
    pub enqueued_per_second: Option<f64>,
    pub probe: Probe,
    pub tally: Tally,
    pub memory: Memory,
}

pub async fn run(stage: &Stage, roles: &mut Roles<'_>, plan: &Plan, config: &Config) -> anyhow::Result<Flow> {
    let scheduler = roles.serve().await?;
    roles.work(config)?;
    roles.wait_for_workers(config).await?;
    stage.talk(format!("running {} jobs at {} a minute", plan.total, plan.per_minute));
    let begin = Moment::now(stage, roles, 0)?;
    let run = start(&scheduler, plan, config).await?;
    let (mut end, mut pace, mut memory) = (None, Pace::default(), Memory::default());
    let following = follow(stage, roles, &run, |snapshot, roles| {
        pace.see(snapshot, plan.total);
        memory.see(ended(snapshot), plan.total, || roles.usage())?;
        if snapshot.record.state.is_terminal() {
            end = Some(Moment::now(stage, roles, ended(snapshot))?);
        }
        Ok(end.is_some())
    });
    let (followed, probe) = probe::during(&scheduler, &run, following).await;
    check_end(&followed?)?;
    let interval = Interval { begin, end: end.expect("it was followed to its end") };
    let tally = Tally::read(stage, plan.total).await?;
    Ok(Flow { run, interval, enqueued_per_second: pace.per_second(), probe, tally, memory })
}

async fn start(scheduler: &Scheduler, plan: &Plan, config: &Config) -> Result<RunId> {
    let field = |(key, value): (String, serde_json::Value)| {
        let text = value.as_str().unwrap_or_default().to_owned();
        (key, Value { kind: Some(Kind::StringValue(text)) })
    };
    let payload = Struct { fields: config.payload().into_iter().map(field).collect() };
    let request = v1::StartRunRequest {
        jobs: plan.per_minute,
        per_minutes: 1.0,
        total: Some(plan.total),
        payload: Some(payload),
        ..Default::default()
    };
    let mut calls = scheduler.calls.clone();
    let answered = whole(async move { Ok(calls.start_run(request).await) }).await?;
    let run = scheduler.answer(answered)?.run;
    RunId::parse(&run.unwrap_or_default().run_id)
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

/// How fast jobs were enqueued: the slope of the straight line that fits every snapshot in which some were and some were
/// still to come. One snapshot that came late moves it little.
#[derive(Debug, Default)]
struct Pace {
    /// Seconds since the first, jobs since the first.
    seen: Vec<(f64, f64)>,
    first: Option<(i64, u64)>,
}

impl Pace {
    fn see(&mut self, snapshot: &Snapshot, total: u64) {
        if (1..total).contains(&snapshot.enqueued) {
            self.note(snapshot.read_at_ms, snapshot.enqueued);
        }
    }

    fn note(&mut self, at_ms: i64, enqueued: u64) {
        let (first_ms, first) = *self.first.get_or_insert((at_ms, enqueued));
        self.seen.push(((at_ms - first_ms) as f64 / 1000.0, enqueued.saturating_sub(first) as f64));
    }

    fn per_second(&self) -> Option<f64> {
        let count = self.seen.len() as f64;
        let mean = |of: fn(&(f64, f64)) -> f64| self.seen.iter().map(of).sum::<f64>() / count;
        let (mean_s, mean_jobs) = (mean(|seen| seen.0), mean(|seen| seen.1));
        let spread: f64 = self.seen.iter().map(|(s, _)| (s - mean_s).powi(2)).sum();
        let together: f64 = self.seen.iter().map(|(s, jobs)| (s - mean_s) * (jobs - mean_jobs)).sum();
        (spread > 0.0).then(|| together / spread)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pace_is_the_slope_and_one_look_has_none() {
        let mut pace = Pace::default();
        assert_eq!(pace.per_second(), None);
        pace.note(1_000, 10);
        assert_eq!(pace.per_second(), None);
        (1..=100).for_each(|step| pace.note(1_000 + step * 50, 10 + step as u64 * 50));
        assert!((pace.per_second().unwrap() - 1_000.0).abs() < 1e-6);
        // A look that came 20 ms late at the end.
        pace.note(6_070, 10 + 101 * 50);
        assert!((pace.per_second().unwrap() - 1_000.0).abs() < 1.0);
    }
}

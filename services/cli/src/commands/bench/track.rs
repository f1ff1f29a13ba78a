//! Follows a run by its snapshots until it is where the caller wants it; a run that stands still is an error.

use std::collections::BTreeMap;
use std::time::Duration;

use paceline_core::error::codes;
use paceline_core::ids::RunId;
use paceline_core::run::Snapshot;
use paceline_core::{Error, Result};
use paceline_runtime::lifecycle::Tasks;
use serde::Serialize;

use super::machine;
use super::roles::Roles;
use super::stage::{Stage, took_too_long};
use super::usage::Usage;

const POLL: Duration = Duration::from_millis(50);
const STALL_NS_MAX: u64 = 60_000_000_000;

/// Waits for a step that must not stop half way when the benchmark is interrupted: a run that is written but not listed yet
/// could not be found again to be removed.
pub async fn whole<T: Send + 'static>(step: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
    // Whoever stops waiting leaves the task running.
    let task = Tasks::new().spawn(step);
    task.await.unwrap_or_else(|e| {
        Err(Error::internal(format!("a step of the benchmark broke: {e}")).coded(codes::BENCH_BROKE))
    })
}

/// A run and its roles at one moment.
#[derive(Debug, Clone)]
pub struct Moment {
    pub at_ns: u64,
    /// Jobs that have ended.
    pub ended: u64,
    pub usage: Usage,
    /// Of the services that run on this machine; empty where it cannot be read.
    pub services: Usage,
    /// CPU time of every process of this machine.
    pub busy_us: u64,
}

impl Moment {
    pub fn now(stage: &Stage, roles: &Roles<'_>, ended: u64) -> Result<Self> {
        let services = Usage::read(stage.services.iter().copied()).unwrap_or_default();
        let (at_ns, busy_us) = (stage.clock.monotonic_ns(), machine::busy_us()?);
        Ok(Self { at_ns, ended, usage: roles.usage()?, services, busy_us })
    }
}

/// The memory of the roles, looked at when these percents of the jobs have ended: it must not grow with them.
const MEMORY_PERCENTS: [u64; 3] = [10, 50, 100];

/// The memory at one look.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MemorySample {
    pub percent: u64,
    /// How many had ended in fact.
    pub jobs: u64,
    /// By role, of the largest of its processes.
    pub rss_bytes: BTreeMap<&'static str, u64>,
}

#[derive(Debug, Default)]
pub struct Memory {
    pub samples: Vec<MemorySample>,
}

impl Memory {
    /// Takes the samples that are due now.
    pub fn see(&mut self, ended: u64, total: u64, usage: impl Fn() -> Result<Usage>) -> Result<()> {
        while let Some(percent) = MEMORY_PERCENTS.get(self.samples.len()) {
            if ended * 100 < total * percent {
                break;
            }
            self.samples.push(MemorySample { percent: *percent, jobs: ended, rss_bytes: usage()?.rss_bytes });
        }
        Ok(())
    }
}

/// The measured interval: between two moments.
#[derive(Debug, Clone)]
pub struct Interval {
    pub begin: Moment,
    pub end: Moment,
}

impl Interval {
    pub fn seconds(&self) -> f64 {
        self.end.at_ns.saturating_sub(self.begin.at_ns) as f64 / 1e9
    }

    pub fn jobs(&self) -> u64 {
        self.end.ended.saturating_sub(self.begin.ended)
    }

    /// Of every process of this machine.
    pub fn machine_us_per_job(&self) -> f64 {
        self.end.busy_us.saturating_sub(self.begin.busy_us) as f64 / self.jobs().max(1) as f64
    }

    pub fn jobs_per_second(&self) -> f64 {
        self.jobs() as f64 / self.seconds().max(1e-9)
    }
}

pub fn ended(snapshot: &Snapshot) -> u64 {
    snapshot.processed + snapshot.dead
}

/// Shows each snapshot to `is_there` until it says yes.
pub async fn follow(
    stage: &Stage,
    roles: &mut Roles<'_>,
    run: &RunId,
    mut is_there: impl FnMut(&Snapshot, &Roles<'_>) -> Result<bool>,
) -> Result<Snapshot> {
    let mut ticks = tokio::time::interval(POLL);
    let (mut progress, mut progress_at_ns) = (None, stage.clock.monotonic_ns());
    loop {
        ticks.tick().await;
        roles.check()?;
        let Some(snapshot) = stage.ports.ledger.counts.snapshot(run, &stage.settings.group).await? else { continue };
        if is_there(&snapshot, roles)? {
            return Ok(snapshot);
        }
        let now = Some((snapshot.enqueued, ended(&snapshot)));
        if now != progress {
            (progress, progress_at_ns) = (now, stage.clock.monotonic_ns());
        }
        if stage.clock.monotonic_ns().saturating_sub(progress_at_ns) > STALL_NS_MAX {
            let (enqueued, ended) = (snapshot.enqueued, ended(&snapshot));
            let what = format!("run {run} stands at {enqueued} jobs enqueued and {ended} ended: no more");
            return Err(took_too_long(&what, STALL_NS_MAX / 1_000_000_000));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_sampled_once_at_each_share_of_the_jobs() {
        let mut memory = Memory::default();
        let usage = || Ok(Usage { rss_bytes: BTreeMap::from([("worker", 7)]), ..Usage::default() });
        for ended in [0, 99, 100, 150, 600, 999, 1_000] {
            memory.see(ended, 1_000, usage).unwrap();
        }
        let seen: Vec<_> = memory.samples.iter().map(|sample| (sample.percent, sample.jobs)).collect();
        assert_eq!(seen, [(10, 100), (50, 600), (100, 1_000)]);
        assert_eq!(memory.samples[2].rss_bytes["worker"], 7);
    }

    #[test]
    fn a_run_that_ends_between_two_looks_has_every_sample() {
        let mut memory = Memory::default();
        memory.see(5, 5, || Ok(Usage::default())).unwrap();
        assert_eq!(memory.samples.len(), MEMORY_PERCENTS.len());
    }
}

//! Follows a run by its snapshots until it is where the caller wants it; a run that stands still is an error.

use paceline_core::error::codes;
use std::time::Duration;

use paceline_core::ids::RunId;
use paceline_core::run::Snapshot;
use paceline_core::{Error, Result};
use paceline_runtime::lifecycle::Tasks;

use crate::numbers::interval::Moment;
use crate::numbers::machine;
use crate::numbers::tally::BenchTally;
use crate::numbers::usage::Usage;
use crate::roles::Roles;
use crate::stage::{Stage, took_too_long};

const POLL: Duration = Duration::from_millis(50);
const STALL_NS_MAX: u64 = 60_000_000_000;
/// Heartbeats come every second.
const TALLY_POLL: Duration = Duration::from_millis(100);
const TALLY_POLLS_MAX: u32 = 100;

/// Waits for a step that must not stop half way when the benchmark is interrupted: a run that is written but not listed yet
/// could not be found again to be removed.
pub async fn whole<T: Send + 'static>(step: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
    // Whoever stops waiting leaves the task running.
    let task = Tasks::new().spawn(step);
    task.await.unwrap_or_else(|e| {
        Err(Error::internal(format!("a step of the benchmark broke: {e}")).coded(codes::BENCH_BROKE))
    })
}

/// The usage of roles, services and machine at this moment, at which `ended` jobs have ended.
pub fn moment(stage: &Stage, roles: &Roles<'_>, ended: u64) -> Result<Moment> {
    let services = Usage::read(stage.services.iter().copied()).unwrap_or_default();
    let (at_ns, busy_us) = (stage.clock.monotonic_ns(), machine::busy_us()?);
    Ok(Moment { at_ns, ended, usage: roles.usage()?, services, busy_us })
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
    let mut progress = Progress::since(stage.clock.monotonic_ns());
    loop {
        ticks.tick().await;
        roles.check()?;
        let Some(snapshot) = stage.ports.ledger.counts.snapshot(run, &stage.settings.group).await? else { continue };
        if is_there(&snapshot, roles)? {
            return Ok(snapshot);
        }
        progress.see(&snapshot, stage.clock.monotonic_ns()).map_err(|stands| {
            let what = format!("run {run} stands at {stands}: no more");
            took_too_long(&what, STALL_NS_MAX / 1_000_000_000)
        })?;
    }
}

/// The last numbers of a run that differed from those before, and when they were seen.
struct Progress {
    enqueued: u64,
    ended: u64,
    at_ns: u64,
}

impl Progress {
    fn since(at_ns: u64) -> Self {
        Self { enqueued: 0, ended: 0, at_ns }
    }

    /// The error says where the run stands still.
    fn see(&mut self, snapshot: &Snapshot, now_ns: u64) -> Result<(), String> {
        let (enqueued, ended) = (snapshot.enqueued, ended(snapshot));
        if (enqueued, ended) != (self.enqueued, self.ended) {
            *self = Self { enqueued, ended, at_ns: now_ns };
        }
        if now_ns.saturating_sub(self.at_ns) > STALL_NS_MAX {
            return Err(format!("{enqueued} jobs enqueued and {ended} ended"));
        }
        Ok(())
    }
}

/// Waits for the heartbeats that know of all `jobs`, and takes the workers together.
pub async fn tally(stage: &Stage, jobs: u64) -> Result<BenchTally> {
    for _ in 0..TALLY_POLLS_MAX {
        let tally = BenchTally::of(&stage.ports.ledger.workers.alive().await?)?;
        if tally.jobs() >= jobs {
            return Ok(tally);
        }
        tokio::time::sleep(TALLY_POLL).await;
    }
    stage.talk("the workers' own counts are short of the jobs: batches and latency are not of all of them");
    BenchTally::of(&stage.ports.ledger.workers.alive().await?)
}

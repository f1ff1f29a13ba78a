//! Follows a run by its snapshots until it is where the caller wants it; a run that stands still is an error.

use std::time::Duration;

use paceline_core::Result;
use paceline_core::ids::RunId;
use paceline_core::run::Snapshot;

use super::roles::Roles;
use super::stage::{Stage, took_too_long};
use super::usage::Usage;

const POLL: Duration = Duration::from_millis(50);
const STALL_NS_MAX: u64 = 60_000_000_000;

/// A run and its roles at one moment.
#[derive(Debug, Clone)]
pub struct Moment {
    pub at_ns: u64,
    /// Jobs that have ended.
    pub ended: u64,
    pub usage: Usage,
}

impl Moment {
    pub fn now(stage: &Stage, roles: &Roles<'_>, ended: u64) -> Result<Self> {
        Ok(Self { at_ns: stage.clock.monotonic_ns(), ended, usage: roles.usage()? })
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
        let Some(snapshot) = stage.ports.ledger.snapshot(run, &stage.settings.group).await? else { continue };
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

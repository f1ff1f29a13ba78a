//! A run: what was asked for, its state, and the snapshot that people read.
//!
//! ```text
//!             Pause            Stop
//!   RUNNING ────────▶ PAUSED ────────▶ STOPPING ──(drained)──▶ STOPPED
//!    │  │   ◀──────── Resume              ▲
//!    │  └──────────────── Stop ───────────┘
//!    │
//!    └─(total enqueued)──▶ DRAINING ──(drained)──▶ COMPLETED
//!
//!   RUNNING, PAUSED, STOPPING, DRAINING ──(its jobs can never be published)──▶ FAILED
//!   DRAINING ── Stop ──▶ STOPPING
//!   FAILED ── Resume ──▶ RUNNING;   FAILED ── Stop ──▶ STOPPING
//! ```
//! "Drained" means: every reserved range is confirmed by the broker, and processed + dead = enqueued in each of the run's groups.
//!
//! A FAILED run has ended, and nothing of it is lost: the ranges that were reserved stay outstanding, and the next owner publishes
//! them. A resumed run whose total was reserved already goes on to DRAINING by its owner's first step.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::groups::Groups;
use crate::ids::RunId;
use crate::pacing::{CatchUp, NEVER_MS, Pacing, Rate};

/// The largest payload of a run, in bytes of JSON.
pub const PAYLOAD_BYTES_MAX: usize = 256 * 1024;
/// The largest total of a run: bounds the bitmaps (125 MB at the limit) and keeps arithmetic far from its ends.
pub const TOTAL_MAX: u64 = 1_000_000_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RunState {
    Running,
    Paused,
    Stopping,
    Draining,
    Completed,
    Stopped,
    Failed,
}

impl RunState {
    pub const ALL: [Self; 7] =
        [Self::Running, Self::Paused, Self::Stopping, Self::Draining, Self::Completed, Self::Stopped, Self::Failed];

    /// Ended: nothing about the run changes any more, unless a caller takes it out of FAILED.
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::Stopped | Self::Failed)
    }

    /// The state in which a run that had ended drains once more; `None` for one that has not, or FAILED.
    pub fn reopened(self) -> Option<Self> {
        match self {
            Self::Completed => Some(Self::Draining),
            Self::Stopped => Some(Self::Stopping),
            _ => None,
        }
    }

    /// Whether a step to `next` takes a run out of FAILED.
    pub fn leaves_failed(self, next: Self) -> bool {
        self == Self::Failed && !next.is_terminal()
    }

    /// No more jobs are reserved; what is enqueued drains.
    pub fn is_draining(self) -> bool {
        matches!(self, Self::Stopping | Self::Draining)
    }

    /// The state diagram above: whether `self` may become `next`. Staying is not a change.
    pub fn may_become(self, next: Self) -> bool {
        use RunState::*;
        matches!(
            (self, next),
            (Running, Paused | Stopping | Draining | Failed)
                | (Paused, Running | Stopping | Failed)
                | (Draining, Completed | Stopping | Failed)
                | (Stopping, Stopped | Failed)
                | (Failed, Running | Stopping)
        )
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Running => "RUNNING",
            Self::Paused => "PAUSED",
            Self::Stopping => "STOPPING",
            Self::Draining => "DRAINING",
            Self::Completed => "COMPLETED",
            Self::Stopped => "STOPPED",
            Self::Failed => "FAILED",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

impl std::fmt::Display for RunState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// What was asked for. `rate` and `total` may be updated; the rest never changes, so a job is a pure function of (spec, seq).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunSpec {
    pub run_id: RunId,
    pub rate: Rate,
    pub total: Option<u64>,
    pub queue: String,
    /// The consumer groups of the queue when the run was made: the run has ended when each of them has.
    #[serde(default)]
    pub groups: Groups,
    pub handler: String,
    pub payload: Map<String, Value>,
    pub catch_up: CatchUp,
    pub created_at_ms: i64,
    /// The trace of the call that started it, as W3C's `traceparent`; each job's trace is linked to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
}

/// A run as the ledger keeps it.
#[derive(Debug, Clone, PartialEq)]
pub struct RunRecord {
    pub spec: RunSpec,
    pub state: RunState,
    /// Grows by one with every change of rate, total or state.
    pub revision: u64,
    /// Jobs reserved so far; the next seq.
    pub cursor: u64,
    pub pacing: Pacing,
    pub ended_at_ms: Option<i64>,
    /// Why the run FAILED; none once it goes on.
    pub failure: Option<String>,
}

impl RunRecord {
    /// The pacing that every ledger stores in the step that takes the run to `next`; `None` leaves it as it is. A run earns nothing
    /// while it is FAILED: one that goes on keeps what it had earned by then, and earns more from the moment that somebody owns it.
    pub fn pacing_on_step(&self, next: RunState) -> Option<Pacing> {
        self.state.leaves_failed(next).then_some(Pacing { as_of_ms: NEVER_MS, ..self.pacing })
    }
}

/// What the sink keeps of a run, so that a ledger that was lost, or went back in time, can be rebuilt. The owner writes it
/// whenever the revision changes and every few seconds while the cursor moves; a lower (revision, cursor) never overwrites a higher.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KeptRun {
    pub spec: RunSpec,
    pub state: RunState,
    pub revision: u64,
    /// At least this many jobs were reserved.
    pub cursor: u64,
    pub pacing: Pacing,
    pub ended_at_ms: Option<i64>,
    pub failure: Option<String>,
}

impl KeptRun {
    /// Whether this says more than the ledger does, which then went back in time.
    pub fn is_ahead_of(&self, record: &RunRecord) -> bool {
        self.revision > record.revision || self.cursor > record.cursor
    }

    /// As it is to be restored: a run that had ended drains once more, so that its owner closes the numbers before it ends again.
    pub fn reopened(self) -> Self {
        match self.state.reopened() {
            Some(state) => Self { state, ended_at_ms: None, ..self },
            None => self,
        }
    }
}

impl From<&RunRecord> for KeptRun {
    fn from(record: &RunRecord) -> Self {
        Self {
            spec: record.spec.clone(),
            state: record.state,
            revision: record.revision,
            cursor: record.cursor,
            pacing: record.pacing,
            ended_at_ms: record.ended_at_ms,
            failure: record.failure.clone(),
        }
    }
}

/// One atomic read of a run's numbers, for one of its groups. L1: `processed + dead ≤ enqueued` in every one.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    pub record: RunRecord,
    /// Reserved, so durable.
    pub enqueued: u64,
    /// Confirmed by the broker.
    pub published: u64,
    pub processed: u64,
    pub dead: u64,
    /// Executions beyond the first of a job; never counted.
    pub duplicates: u64,
    /// Reserved ranges that are not confirmed yet.
    pub ranges_outstanding: u64,
    /// Jobs enqueued within the last [`RATE_WINDOW_S`] seconds.
    pub enqueued_in_window: u64,
    /// Jobs processed within the last [`RATE_WINDOW_S`] seconds.
    pub processed_in_window: u64,
    pub workers: BTreeMap<String, u64>,
    pub producers: BTreeMap<String, u64>,
    pub read_at_ms: i64,
}

/// Length of the window of the achieved rates, in whole seconds; the running second is not part of it.
pub const RATE_WINDOW_S: i64 = 10;

impl Snapshot {
    pub fn in_flight(&self) -> u64 {
        self.enqueued.saturating_sub(self.processed).saturating_sub(self.dead)
    }

    /// Everything reserved is published, and everything published has ended in this group.
    pub fn is_drained(&self) -> bool {
        self.ranges_outstanding == 0 && self.in_flight() == 0
    }

    /// Jobs a second over the window, or over the run's age while it is younger than the window. The running second is not
    /// part of either, so before the run's first whole second this is 0.
    pub fn per_second(&self, in_window: u64) -> f64 {
        let counted_up_to_ms = self.read_at_ms.div_euclid(1000) * 1000;
        let counted_s = (counted_up_to_ms - self.record.spec.created_at_ms) as f64 / 1000.0;
        in_window as f64 / counted_s.clamp(0.5, RATE_WINDOW_S as f64)
    }

    /// When the last job will be enqueued at the asked rate; `None` without a total, or when it is not running.
    pub fn estimated_end_ms(&self) -> Option<i64> {
        let total = self.record.spec.total?;
        if let Some(ended) = self.record.ended_at_ms {
            return Some(ended);
        }
        if self.record.state != RunState::Running {
            return None;
        }
        let left_ns = self.record.spec.rate.ns_for(total.saturating_sub(self.enqueued));
        Some(self.read_at_ms + i64::try_from(left_ns / 1_000_000).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_can_end_and_of_those_that_ended_only_failed_can_go_on() {
        for from in RunState::ALL {
            assert_eq!(RunState::parse(from.name()), Some(from));
            let has_ended_for_good = matches!(from, RunState::Completed | RunState::Stopped);
            let ways_out = RunState::ALL.into_iter().filter(|next| from.may_become(*next)).count();
            assert_eq!(ways_out == 0, has_ended_for_good, "{from}");
            assert!(!from.may_become(from));
        }
    }

    #[test]
    fn a_spec_from_before_groups_were_kept_has_the_default_group() {
        let old = r#"{"run_id":"r","rate":{"jobs":1,"per_ns":60},"total":null,"queue":"default","handler":"record",
                      "payload":{},"catch_up":"ALL","created_at_ms":0}"#;
        let spec: RunSpec = serde_json::from_str(old).unwrap();
        assert_eq!(spec.groups, Groups::default());
        let other = RunSpec { groups: Groups::new(["billing", "audit"]).unwrap(), ..spec };
        assert_eq!(serde_json::from_str::<RunSpec>(&serde_json::to_string(&other).unwrap()).unwrap(), other);
    }
}

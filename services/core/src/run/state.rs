//! The states of a run, and the only home of the rule which state may follow which.
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

use serde::{Deserialize, Serialize};

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

    /// True if a step to `next` takes a run out of FAILED.
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
}

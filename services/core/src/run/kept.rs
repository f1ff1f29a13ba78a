//! The copy of a run that the sink keeps: enough to rebuild the run in a ledger that lost it.

use serde::{Deserialize, Serialize};

use super::record::{RunRecord, RunSpec};
use super::state::RunState;
use crate::pacing::Pacing;

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

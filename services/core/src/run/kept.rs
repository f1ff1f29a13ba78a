//! The copy of a run that the sink keeps: enough to rebuild the run in a ledger that lost it.

use super::record::RunRecord;

/// A run as its owner knew it last, so its cursor says that at least so many jobs exist. The owner writes it whenever the revision changes
/// and every few seconds while the cursor moves; a lower (revision, cursor) never overwrites a higher.
pub type KeptRun = RunRecord;

impl KeptRun {
    /// True if this says more than the ledger's `record`: the ledger went back in time.
    pub fn is_ahead_of(&self, record: &RunRecord) -> bool {
        self.revision > record.revision || self.cursor > record.cursor
    }

    /// The jobs that were reserved, and no more than `total` allows.
    pub fn enqueued_within(&self, total: Option<u64>) -> u64 {
        total.map_or(self.cursor, |total| self.cursor.min(total))
    }

    /// The run as it is to be restored: a run that had ended drains once more, so that its owner closes the numbers before it ends again.
    pub fn reopened(self) -> Self {
        match self.state.reopened() {
            Some(state) => Self { state, ended_at_ms: None, ..self },
            None => self,
        }
    }
}

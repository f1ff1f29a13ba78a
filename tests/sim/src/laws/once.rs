//! Facts of a run that stay true when the ledger forgets them.

use std::collections::BTreeMap;

use paceline_core::seqset::SeqSet;

/// Facts of one run that were true once, whatever the ledger remembers of the run.
#[derive(Default)]
pub struct Once {
    /// The owner that got each epoch.
    pub(super) epochs: BTreeMap<u64, String>,
    /// Jobs that were brought to the ledger to be counted.
    pub(super) recorded: SeqSet,
    /// The highest cursor.
    pub cursor: u64,
    /// The ledger forgot the run; the process that owned it then, if it had it in its hands.
    pub forgotten_by: Option<Option<usize>>,
}

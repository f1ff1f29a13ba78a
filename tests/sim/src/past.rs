//! Copies of the ledger's model and of the books of who owns what, kept while the ledger may go back in time.

use std::collections::{BTreeMap, VecDeque};

use paceline_core::ids::RunId;

use crate::laws::ownership::Ownership;
use crate::models::LedgerModel;

/// Enough for the longest way back.
const COPIES_MAX: usize = 26;

/// The ledger as it was, and the oracle's books of its owners at that time.
pub struct Copy {
    pub at_ms: u64,
    pub ledger: LedgerModel,
    pub ownerships: BTreeMap<RunId, Ownership>,
}

/// Oldest first.
#[derive(Default)]
pub struct Past(VecDeque<Copy>);

impl Past {
    /// Keeps one more copy, and forgets the oldest where there are enough.
    pub fn remember(&mut self, copy: Copy) {
        if self.0.len() == COPIES_MAX {
            self.0.pop_front();
        }
        self.0.push_back(copy);
    }

    /// Forgets what is younger than `to_ms`, but for the oldest copy, and answers the youngest that is left.
    pub fn back_to(&mut self, to_ms: u64) -> Option<&Copy> {
        while self.0.len() > 1 && self.0.back().is_some_and(|copy| copy.at_ms > to_ms) {
            self.0.pop_back();
        }
        self.0.back()
    }
}

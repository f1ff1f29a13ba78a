//! A range: the unit that is reserved, published and confirmed.

use serde::{Deserialize, Serialize};

/// The most jobs in one range, so in one Publish call.
pub const RANGE_JOBS_MAX: u64 = 10_000;
/// Jobs `first .. first + count` of a run, which fell due at `scheduled_at_ms`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Range {
    pub first: u64,
    pub count: u64,
    pub scheduled_at_ms: i64,
}

impl Range {
    pub fn end(&self) -> u64 {
        self.first + self.count
    }

    pub fn seqs(&self) -> std::ops::Range<u64> {
        self.first..self.end()
    }
}

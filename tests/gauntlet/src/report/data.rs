//! The findings of one gauntlet, before anything is reckoned from them.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::elections::Election;
use crate::faults::Struck;
use crate::proof::Proof;
use crate::world::roles::Kind;

/// Everything that a gauntlet has seen. Times are since it began.
pub struct Report {
    pub name: String,
    pub seed: u64,
    pub lasted: Duration,
    pub struck: Vec<Struck>,
    /// The times at which jobs of the big run were seen to be processed.
    pub processed: Vec<Duration>,
    /// The times at which jobs were seen to be enqueued, by run.
    pub enqueued: Vec<Vec<Duration>>,
    pub proofs: Vec<Proof>,
    pub violations: Vec<String>,
    pub snapshots: u64,
    pub reads_failed: u64,
    pub refused: u64,
    /// The highest enqueued − schedule of each run, by name, in jobs.
    pub overshoot: Vec<(String, f64)>,
    pub memory_max_mb: BTreeMap<Kind, u64>,
    /// Of a cluster: the standstill of each strike at a node.
    pub elections: Vec<Election>,
}

impl Report {
    /// The sum of a number over all runs.
    pub(super) fn sum(&self, of: impl Fn(&Proof) -> u64) -> u64 {
        self.proofs.iter().map(of).sum()
    }
}

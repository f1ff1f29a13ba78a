//! The proof as people and programs read it.

use serde::{Deserialize, Serialize};

use crate::ids::RunId;
use crate::run::RunState;

/// The most ids in a [`Verification`]'s lists; the counts beside them are complete.
pub const IDS_LISTED_MAX: usize = 10_000;

/// The proof, or what it fails on. Serialized as is, it is the answer of `paceline verify --json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verification {
    pub run_id: RunId,
    pub state: RunState,
    /// Jobs that exist: seqs `0..enqueued`.
    pub enqueued: u64,
    /// Jobs that the ledger has counted, processed or dead.
    pub counted: u64,
    /// Jobs with a completed document in the sink.
    pub stored: u64,
    /// Jobs that the ledger has counted as dead.
    pub dead: u64,
    /// Enqueued jobs that are not counted, or have no document; at most [`IDS_LISTED_MAX`].
    pub missing: Vec<String>,
    pub missing_count: u64,
    /// Documents that are no job of this run; at most [`IDS_LISTED_MAX`].
    pub foreign: Vec<String>,
    pub foreign_count: u64,
    /// Executions beyond the first of a job, without effect.
    pub duplicates: u64,
    pub in_flight: u64,
    /// The failures, in words; empty exactly if `ok`.
    pub problems: Vec<String>,
    pub ok: bool,
}

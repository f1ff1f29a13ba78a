//! The proof of a run (L2): the scheduled jobs against the counted and the stored ones, seq by seq.
//!
//! [`collect`] reads over the ports, [`compare`] is pure. The CLI calls [`verify`] itself, and so does the scheduler for a
//! CLI that cannot reach the ports because the embedded files belong to the scheduler's process.

pub mod collect;
pub mod compare;

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::ids::RunId;
use crate::ports::{Counts, DocumentReader};
use crate::run::RunState;

/// The most ids in a [`Verification`]'s lists; the counts beside them are complete.
pub const IDS_LISTED_MAX: usize = 10_000;

/// What to prove.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyOptions {
    pub group: String,
    /// Also: the run has ended, nothing is outstanding, and the counters equal the bitmaps.
    pub strict: bool,
}

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
    /// Scheduled jobs that are not counted, or have no document; at most [`IDS_LISTED_MAX`].
    pub missing: Vec<String>,
    pub missing_count: u64,
    /// Documents that are no job of this run; at most [`IDS_LISTED_MAX`].
    pub foreign: Vec<String>,
    pub foreign_count: u64,
    /// Executions beyond the first of a job, without effect.
    pub duplicates: u64,
    pub in_flight: u64,
    /// What is wrong, in words; empty exactly if `ok`.
    pub problems: Vec<String>,
    pub ok: bool,
}

/// Reads everything about the run and compares it. Changes nothing. `NotFound`: the ledger does not know the run.
pub async fn verify(
    counts: &dyn Counts,
    documents: &dyn DocumentReader,
    run: &RunId,
    options: &VerifyOptions,
) -> Result<Verification> {
    let evidence = collect::collect(counts, documents, run, &options.group).await?;
    Ok(compare::compare(&evidence, options.strict))
}

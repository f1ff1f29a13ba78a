//! The proof of a run (L2): the enqueued jobs against the counted and the stored ones, seq by seq.
//!
//! [`collect`] reads over the ports, [`compare`] is pure. The CLI calls [`verify`] itself, and so does the scheduler for a
//! CLI that cannot reach the ports because the embedded files belong to the scheduler's process.
//!
//! Here: reading the evidence and comparing it, and no repair. It may use the ports and the language of the house, and no adapter.

pub mod collect;
pub mod compare;
mod verification;

use crate::error::Result;
use crate::ids::RunId;
use crate::ports::{Counts, DocumentReader};

pub use verification::{IDS_LISTED_MAX, Verification};

/// The subject and the strictness of a proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyOptions {
    pub group: String,
    /// The proof also shows that the run has ended, nothing is outstanding, and the counters equal the bitmaps.
    pub strict: bool,
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

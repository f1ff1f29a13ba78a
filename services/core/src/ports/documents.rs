//! The documents ports: one document a job, keyed by its jobId. Writing is what a worker needs, reading what proofs and people need.

use std::time::Duration;

use async_trait::async_trait;

use crate::document::{Document, Status};
use crate::error::Result;
use crate::ids::{JobId, RunId};

/// The longest job id that a sink keeps, in bytes.
pub const JOB_ID_BYTES_MAX: usize = 512;
/// The highest seq that a sink keeps: what a signed 64-bit integer holds.
pub const SEQ_MAX: u64 = i64::MAX as u64;

/// The sink's word on one document of an upsert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Stored, durably; or a newer or equal attempt was stored already.
    Stored,
    /// Not now (overload, a shard away): this document alone may be sent again.
    Retry { after: Duration, reason: String },
    /// Never: the sink will refuse this document each time. The reason is the sink's own.
    Reject { reason: String },
}

/// A stored document's place in its run, as `verify` needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredId {
    /// The document's key. Differs from `<run>-<seq>` only if somebody else wrote it.
    pub job_id: String,
    pub seq: u64,
    pub status: Status,
}

/// The reason for which every sink refuses `document`, if its own fields contradict each other or do not fit. Adapters ask before they send
/// anything, because one such document would fail the whole request.
pub fn refusal(document: &Document) -> Option<String> {
    let Document { job_id, run_id, seq, .. } = document;
    if job_id.is_empty() || job_id.len() > JOB_ID_BYTES_MAX {
        return Some(format!("the job id has {} bytes; it may have 1 to {JOB_ID_BYTES_MAX}", job_id.len()));
    }
    if *seq > SEQ_MAX {
        return Some(format!("seq {seq} is beyond {SEQ_MAX}"));
    }
    let claimed = JobId::parse(job_id).filter(|id| id.run == *run_id && id.seq != *seq)?;
    Some(format!("the job id {job_id} says seq {}, but the document says {seq}", claimed.seq))
}

/// The conformance suites `storing` and `refusing` check what is said here:
/// * `upsert` is idempotent: the same document twice equals once.
/// * An older attempt never overwrites a newer one (`attempts` is the version); that is `Stored`, not an error.
/// * One document's refusal does not touch the others of the call.
#[async_trait]
pub trait DocumentWriter: Send + Sync + 'static {
    /// Makes what documents need (template, index, table). Idempotent.
    async fn prepare(&self) -> Result<()>;

    /// Stores documents: one [`Verdict`] each, in order. `Err` means that for some it is unknown: send all again.
    async fn upsert(&self, documents: &[Document]) -> Result<Vec<Verdict>>;

    /// Removes one document, and answers true if it was there. For tests and repair.
    async fn delete(&self, run: &RunId, job_id: &str) -> Result<bool>;

    /// Reaches the service and says what it is, for `doctor` and readiness.
    async fn check(&self) -> Result<String>;
}

/// The conformance suite `listing` checks what is said here.
#[async_trait]
pub trait DocumentReader: Send + Sync + 'static {
    /// Documents of a run with this status, after everything stored before the call has become visible.
    async fn count(&self, run: &RunId, status: Status) -> Result<u64>;

    /// A page of a run's ids in ascending order of (seq, job id), at most `limit` (1 to 10,000), after everything stored before the first
    /// page's call has become visible. `after` is the last item of the page before.
    async fn ids(&self, run: &RunId, after: Option<&StoredId>, limit: usize) -> Result<Vec<StoredId>>;

    /// One document, or none.
    async fn get(&self, run: &RunId, job_id: &str) -> Result<Option<Document>>;
}

//! The counts port: each job that has ended, counted once per group, and all numbers of a run in one read.

use async_trait::async_trait;

use crate::error::Result;
use crate::ids::RunId;
use crate::run::Snapshot;
use crate::seqset::SeqSet;

/// One job that has ended and is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndedJob {
    pub run: RunId,
    pub seq: u64,
    pub dead: bool,
}

/// The result of a [`Counts::record`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Recorded {
    /// Counted for the first time.
    pub counted: u64,
    /// Executions of jobs that were counted before; without effect.
    pub duplicates: u64,
    /// Seqs of an unknown run, or at or beyond the run's cursor: never counted.
    pub foreign: u64,
}

/// The conformance suite `counts` checks these promises: its cases are in `recording`, `forgetting` and `snapshot`. A job is counted once
/// per group, however often and by whomever it is recorded; `processed + dead ≤ enqueued` always (L1).
#[async_trait]
pub trait Counts: Send + Sync + 'static {
    /// Counts jobs that are stored in the sink, each once per group, as what it was recorded first. May mix runs and repeat jobs.
    /// In the snapshot a worker's number is the jobs that it processed, so without the dead.
    async fn record(&self, group: &str, worker: &str, ended: &[EndedJob]) -> Result<Recorded>;

    /// All numbers of a run for `group`, as of one moment; `None` for an unknown run.
    async fn snapshot(&self, run: &RunId, group: &str) -> Result<Option<Snapshot>>;

    /// The counted jobs (processed or dead) of a run. What is recorded while it is read may be missing from it.
    async fn counted(&self, run: &RunId, group: &str) -> Result<SeqSet>;

    /// The dead ones among the counted.
    async fn dead(&self, run: &RunId, group: &str) -> Result<SeqSet>;

    /// Takes back the counting of jobs that have no document, so that they can be done again: their bits go, and the counters with them. A
    /// job that is not counted changes nothing. Answers how many were counted. For repair only, also of a run that has ended.
    async fn forget(&self, run: &RunId, group: &str, seqs: &[u64]) -> Result<u64>;
}

//! The runs port: runs as they were asked for and as they are, each step of a caller, and what a rebuilt ledger gets back.

use async_trait::async_trait;

use crate::error::{Error, Result, codes};
use crate::ids::RunId;
use crate::run::{KeptRun, RunChange, RunRecord, RunSpec};

/// The error of every ledger, and of every reader of one, about a run that it does not know.
pub fn unknown(run: &RunId) -> Error {
    Error::not_found(format!("run {run} is not in the ledger")).coded(codes::RUN_UNKNOWN)
}

/// The answer to [`Runs::create`].
#[derive(Debug, Clone, PartialEq)]
pub enum Created {
    New,
    /// The request id was used before: this is the run that it started.
    Existing(RunId),
}

/// The conformance suite `runs` checks these promises: its cases are in `starting`, `changing`, `restoring` and `unkept`. A run that is
/// read is as it was at one moment. A step of a run that the ledger does not know fails with `NotFound`, where the method does not say
/// otherwise.
#[async_trait]
pub trait Runs: Send + Sync + 'static {
    /// Starts a run in state RUNNING. The same non-empty `request_id` again answers `Existing`, at any time, also after a crash between.
    async fn create(&self, spec: &RunSpec, request_id: &str) -> Result<Created>;

    async fn find(&self, run: &RunId) -> Result<Option<RunRecord>>;

    /// Ids of runs, newest first, at most `limit`, older than `before`.
    async fn list(&self, before: Option<&RunId>, limit: usize) -> Result<Vec<RunId>>;

    /// Ids of the runs that have not ended.
    async fn active(&self) -> Result<Vec<RunId>>;

    /// Applies a caller's change and answers the run as it is then; a change to what is so already changes nothing, the revision
    /// neither. `Aborted`: the revision moved on, read again. `FailedPrecondition`: the state diagram forbids it (DRAINING,
    /// COMPLETED and STOPPED are the owner's steps), the total is below what is enqueued, or rate or total come too late.
    ///
    /// A run that goes on after it FAILED is active again, without end and failure, and its ranges are outstanding as they were; the
    /// same step stores [`RunRecord::pacing_on_step`]. A repeat of that change completes what a crash in between left out.
    async fn change(&self, run: &RunId, change: &RunChange) -> Result<RunRecord>;

    /// Runs whose end nobody has noted as kept in the sink, in ascending order of their ids, at most `limit`. `after` is the last id
    /// of the page before. A run is among them from the step on that ends it, or that restores it as ended: also if whoever took
    /// that step dies at once, as soon as somebody has asked for [`Runs::active`].
    async fn unkept(&self, after: Option<&RunId>, limit: usize) -> Result<Vec<RunId>>;

    /// Notes that the sink keeps the end that the run reached at `revision`. A later end of a run that went on meanwhile stays unkept.
    /// An unknown run, or one that is noted already, is no error.
    async fn note_kept(&self, run: &RunId, revision: u64) -> Result<()>;

    /// Brings a run back to at least what is known of it elsewhere, after the ledger lost it or went back in time; never takes
    /// anything away, and needs no fence, because what is kept has happened:
    /// * A run that the ledger does not know is created, with the kept spec, state, revision, cursor and pacing, without an owner.
    /// * A lower revision takes over the kept spec, state, failure and end, and the kept revision. Where that takes the run out of
    ///   FAILED it takes the kept pacing too: by its own the time in FAILED would be an outage.
    /// * A lower cursor rises to the kept one, but not above the total, and takes the kept pacing with it, or the time between would
    ///   earn its jobs again; `published` rises by the same number, so the jobs between are missing until they are counted or
    ///   published again. The revision grows, so an owner that did not know reads again. A run that has ended here
    ///   (COMPLETED, STOPPED) drains once more: its numbers do not close any more.
    ///
    /// Answers the run as it is then.
    async fn restore(&self, kept: &KeptRun) -> Result<RunRecord>;
}

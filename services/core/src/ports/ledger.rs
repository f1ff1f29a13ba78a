//! The ledger port: runs and who owns them, which jobs exist, and which are counted. Every method is one atomic step.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::ids::RunId;
use crate::job::Range;
use crate::pacing::Pacing;
use crate::run::{KeptRun, RunRecord, RunSpec, RunState, Snapshot};
use crate::seqset::SeqSet;

/// A scheduler's claim on a run. `epoch` grows with every new owner; the ledger refuses what carries another one (L9). A new
/// epoch is the ledger's time in milliseconds, or one more than the last where that is higher: so a ledger that went back in
/// time never hands out one that somebody holds already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Fence {
    pub epoch: u64,
}

/// The protocol of a mesh from before protocols were noted.
pub const PROTOCOL_FIRST: u32 = 1;

/// The answer to [`Ledger::create_run`].
#[derive(Debug, Clone, PartialEq)]
pub enum Created {
    New,
    /// The request id was used before: this is the run that it started.
    Existing(RunId),
}

/// A change of a run by a caller; applied only if the run is still at `expected_revision`.
#[derive(Debug, Clone, PartialEq)]
pub struct RunChange {
    pub expected_revision: u64,
    /// The whole spec as it shall be (only rate and total may differ).
    pub spec: RunSpec,
    pub state: RunState,
}

impl RunChange {
    /// The rules of [`Ledger::change_run`] against the run as it is; whether anything changes at all.
    pub fn check(&self, run: &RunRecord) -> Result<bool> {
        let id = &run.spec.run_id;
        let fixed = RunSpec { rate: self.spec.rate, total: self.spec.total, ..run.spec.clone() };
        if fixed != self.spec {
            return Err(Error::invalid_field(
                "spec",
                format!("only rate and total of run {id} may change; start a new run for the rest"),
            ));
        }
        if self.expected_revision != run.revision {
            let (expected, found) = (self.expected_revision, run.revision);
            return Err(Error::aborted(format!("run {id} is at revision {found}, not {expected}; read it again")));
        }
        if self.state == run.state && self.spec == run.spec {
            return Ok(false);
        }
        if self.state != run.state {
            check_step(run, self.state)?;
            if matches!(self.state, RunState::Draining | RunState::Completed | RunState::Stopped) {
                return Err(Error::failed_precondition(format!(
                    "run {id} becomes {} only by its owner; stop it instead",
                    self.state
                )));
            }
        }
        if self.spec != run.spec && !matches!(run.state, RunState::Running | RunState::Paused) {
            return Err(Error::failed_precondition(format!(
                "run {id} is {}; its rate and total are fixed by now",
                run.state
            )));
        }
        check_total(run, self.spec.total)?;
        Ok(true)
    }
}

/// The rules of [`Ledger::advance_state`] against the run as it is; whether anything changes at all.
pub fn check_advance(run: &RunRecord, next: RunState, is_drained: bool) -> Result<bool> {
    let id = &run.spec.run_id;
    if run.state == next {
        return Ok(false);
    }
    check_step(run, next)?;
    let is_reserved = run.spec.total.is_some_and(|total| run.cursor >= total);
    match next {
        RunState::Draining if !is_reserved => {
            Err(Error::failed_precondition(format!("run {id} has reserved {} jobs, not yet its total", run.cursor)))
        }
        RunState::Completed | RunState::Stopped if !is_drained => {
            Err(Error::failed_precondition(format!("run {id} is not drained yet; wait for its workers")))
        }
        _ => Ok(true),
    }
}

fn check_step(run: &RunRecord, next: RunState) -> Result<()> {
    if run.state.may_become(next) {
        return Ok(());
    }
    Err(Error::failed_precondition(format!("run {} is {} and cannot become {next}", run.spec.run_id, run.state)))
}

/// A total below what is enqueued could never be kept.
pub fn check_total(run: &RunRecord, total: Option<u64>) -> Result<()> {
    match total {
        Some(total) if total < run.cursor => {
            let (id, cursor) = (&run.spec.run_id, run.cursor);
            Err(Error::failed_precondition(format!(
                "run {id} has enqueued {cursor} jobs already; ask for a total of at least that, not {total}"
            )))
        }
        _ => Ok(()),
    }
}

/// What a scheduler asks to reserve.
#[derive(Debug, Clone, PartialEq)]
pub struct Reservation {
    /// At most [`crate::job::RANGE_JOBS_MAX`].
    pub count: u64,
    pub scheduled_at_ms: i64,
    /// The pacer's state once this is reserved.
    pub pacing: Pacing,
    /// The revision that the pacer knows; a newer one in the ledger refuses the reservation as `Aborted`.
    pub revision: u64,
}

/// One job that has ended and is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    pub run: RunId,
    pub seq: u64,
    pub dead: bool,
}

/// What became of a [`Ledger::record`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Recorded {
    /// Counted for the first time.
    pub counted: u64,
    /// Counted before: suppressed.
    pub duplicates: u64,
    /// Of an unknown run, or at or beyond its cursor: never counted.
    pub foreign: u64,
}

/// A worker's state on one of its queues.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct QueueLoad {
    /// Jobs that it may hold at once.
    pub slots: u64,
    /// Jobs that it holds now.
    pub held: u64,
    /// Jobs that left its hands, a second.
    pub per_second: f64,
    /// From taken to settled, the mean of those jobs; unset before the first one.
    pub hold_ms: Option<f64>,
    /// The end of the window that both are of: the last one in which a job ended.
    pub measured_at_ms: Option<i64>,
}

/// A worker as it announces itself. What has a default is not said by workers of older versions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorkerInfo {
    pub worker_id: String,
    /// Of its software; empty where it did not say.
    #[serde(default)]
    pub version: String,
    pub queue: String,
    pub group: String,
    pub host: String,
    pub pid: u32,
    pub started_at_ms: i64,
    /// By the worker's clock.
    pub heartbeat_at_ms: i64,
    /// Since the ledger was told so, by the ledger's clock. The ledger says it; it is no part of what a worker tells.
    #[serde(skip)]
    pub age_ms: u64,
    pub processed: u64,
    pub dead: u64,
    pub retried: u64,
    /// Deliveries that it has taken and not settled yet.
    #[serde(default)]
    pub held: u64,
    /// How often it found, on waking up, that it had been stopped or hung for so long that its jobs went to others.
    #[serde(default)]
    pub stalled: u64,
    /// By queue.
    #[serde(default)]
    pub loads: BTreeMap<String, QueueLoad>,
    /// The share of the last seconds in which its threads computed, 0 to 1; unset where that is not known.
    #[serde(default)]
    pub busy: Option<f64>,
    /// It takes no more, and finishes what it holds.
    #[serde(default)]
    pub is_stopping: bool,
    /// Sink requests, and the documents in them.
    pub batches: u64,
    pub batched_documents: u64,
    /// From due to stored, as a base64 V2 HDR histogram of milliseconds since the worker started; mergeable across workers.
    pub stored_latency: String,
}

impl WorkerInfo {
    /// As it was told at `told_at_ms`, and is read at `now_ms`, both by the ledger's clock. A ledger of an older version did not note the
    /// former; then the worker's word has to do.
    pub fn read_at(self, told_at_ms: Option<i64>, now_ms: i64) -> Self {
        let told_at_ms = told_at_ms.unwrap_or(self.heartbeat_at_ms);
        Self { age_ms: u64::try_from(now_ms.saturating_sub(told_at_ms)).unwrap_or(0), ..self }
    }
}

/// Promises, which the conformance suite checks:
/// * Everything that answers `Ok` is durable.
/// * `record` counts a job once per group, however often and by whomever it is called; `processed + dead ≤ enqueued` always (L1).
/// * Calls with a fence fail with `Aborted` once a newer fence exists, and change nothing.
/// * Runs that are read are as they were at one moment.
/// * A step of a run that the ledger does not know fails with `NotFound`, where it does not say otherwise.
#[async_trait]
pub trait Ledger: Send + Sync + 'static {
    /// Starts a run in state RUNNING. The same non-empty `request_id` again answers `Existing`, at any time, also after a crash between.
    async fn create_run(&self, spec: &RunSpec, request_id: &str) -> Result<Created>;

    async fn run(&self, run: &RunId) -> Result<Option<RunRecord>>;

    /// Ids of runs, newest first, at most `limit`, older than `before`.
    async fn run_ids(&self, before: Option<&RunId>, limit: usize) -> Result<Vec<RunId>>;

    /// Ids of the runs that have not ended.
    async fn active_run_ids(&self) -> Result<Vec<RunId>>;

    /// Runs whose end nobody has noted as kept in the sink, in ascending order of their ids, at most `limit`. `after` is the last id
    /// of the page before. A run is among them from the step on that ends it, or that restores it as ended: also if whoever took
    /// that step dies at once, as soon as somebody has asked for [`Ledger::active_run_ids`].
    async fn unkept_run_ids(&self, after: Option<&RunId>, limit: usize) -> Result<Vec<RunId>>;

    /// Notes that the sink keeps the end that the run reached at `revision`. A later end of a run that went on meanwhile stays unkept.
    /// An unknown run, or one that is noted already, is no error.
    async fn note_kept(&self, run: &RunId, revision: u64) -> Result<()>;

    /// Applies a caller's change and answers the run as it is then; a change to what is so already changes nothing, the revision
    /// neither. `Aborted`: the revision moved on, read again. `FailedPrecondition`: the state diagram forbids it (DRAINING,
    /// COMPLETED and STOPPED are the owner's steps), the total is below what is enqueued, or rate or total come too late.
    ///
    /// A run that goes on after it FAILED is active again, without end and failure, and its ranges are outstanding as they were; the
    /// same step stores [`RunRecord::pacing_on_step`]. A repeat of that change completes what a crash in between left out.
    async fn change_run(&self, run: &RunId, change: &RunChange) -> Result<RunRecord>;

    /// Takes or renews the lease of a run for `ttl`. `Some`: `owner` has it; the same epoch while it held it all along, a new
    /// one otherwise. `None`: somebody else's lease is still good.
    async fn lease(&self, run: &RunId, owner: &str, ttl: Duration) -> Result<Option<Fence>>;

    /// Gives the lease up, so that another may take it at once; its fence is stale from then on. Not owning it is no error.
    async fn release(&self, run: &RunId, fence: Fence) -> Result<()>;

    /// Renews the lease for `ttl` and stores the pacer's state. `Aborted`: the lease was lost.
    async fn keep(&self, run: &RunId, fence: Fence, ttl: Duration, pacing: &Pacing) -> Result<RunRecord>;

    /// Reserves the next `count` jobs, fewer if the total comes first: from now on they exist, and the range is outstanding. An
    /// empty range says that the total is reached. `Unavailable` leaves open whether it happened: read the run again.
    /// `Aborted`: the fence or the revision is stale; nothing changed. `FailedPrecondition`: the run is not RUNNING.
    async fn reserve(&self, run: &RunId, fence: Fence, reservation: &Reservation) -> Result<Range>;

    /// Notes that the broker has confirmed the whole range. Idempotent: a range that is not outstanding changes nothing.
    async fn confirm(&self, run: &RunId, fence: Fence, range: &Range, producer: &str) -> Result<()>;

    /// Ranges that are reserved and not confirmed, in order.
    async fn outstanding(&self, run: &RunId) -> Result<Vec<Range>>;

    /// The owner's step along the state diagram (DRAINING, COMPLETED, STOPPED, FAILED). To DRAINING only if the total is
    /// reserved, to COMPLETED or STOPPED only if the run is drained for each group of its spec: otherwise
    /// `FailedPrecondition`, and nothing changes. Being in that state already is a success.
    async fn advance_state(
        &self,
        run: &RunId,
        fence: Fence,
        next: RunState,
        failure: Option<&str>,
    ) -> Result<RunRecord>;

    /// Counts jobs that are stored in the sink, each once per group, as what it was recorded first. May mix runs and repeat jobs.
    /// In the snapshot a worker's number is the jobs that it processed, so without the dead.
    async fn record(&self, group: &str, worker: &str, settled: &[Settled]) -> Result<Recorded>;

    /// Takes back the admission of jobs that have no document, so that they can be done again: their bits go, and the counters with
    /// them; not admitted already changes nothing. Answers how many were admitted. For repair only, also of a run that has ended.
    async fn forget(&self, run: &RunId, group: &str, seqs: &[u64]) -> Result<u64>;

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
    async fn restore_run(&self, kept: &KeptRun) -> Result<RunRecord>;

    /// All numbers of a run for `group`, as of one moment; `None` for an unknown run.
    async fn snapshot(&self, run: &RunId, group: &str) -> Result<Option<Snapshot>>;

    /// The admitted jobs (processed or dead) of a run. What is recorded while it is read may be missing from it.
    async fn admitted(&self, run: &RunId, group: &str) -> Result<SeqSet>;

    /// The dead ones among the admitted.
    async fn dead(&self, run: &RunId, group: &str) -> Result<SeqSet>;

    /// Announces a worker; it is forgotten `ttl` after its last heartbeat.
    async fn heartbeat(&self, worker: &WorkerInfo, ttl: Duration) -> Result<()>;

    /// Takes a worker off the list at its graceful stop.
    async fn forget_worker(&self, worker_id: &str) -> Result<()>;

    /// The workers whose heartbeat is still good, each with its age by the ledger's clock.
    async fn workers(&self) -> Result<Vec<WorkerInfo>>;

    /// The protocol that the roles of this mesh have in common; [`PROTOCOL_FIRST`] where none is noted and there are runs already, or
    /// workers that are alive, `None` where there are none. A caller whose own is another must leave the ledger alone.
    async fn protocol(&self) -> Result<Option<u32>>;

    /// Makes `mine` the mesh's protocol, unless [`Ledger::protocol`] would say another than `found`; answers the one that the mesh has
    /// then. Noted is `mine` from then on, if that is it. Whoever takes over from another has seen to it that no role with that one runs.
    async fn adopt_protocol(&self, found: Option<u32>, mine: u32) -> Result<u32>;

    /// Reaches the service, checks that it can keep its promises (durable, does not evict) and says what it is.
    async fn check(&self) -> Result<String>;
}

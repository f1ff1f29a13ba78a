//! A ledger in the hands of a role that has joined its mesh: a ledger that was lost whole gets the role's protocol back.
//!
//! Roles ask for the protocol at their start. One that is running when the ledger loses everything, the note too, goes on: its worker
//! announces itself, its owner restores the run. Whoever starts after that finds workers and runs, and must not take them for those of a
//! mesh from before protocols were noted. So the protocol is noted before each first trace of a role.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::error::{Error, Result};
use crate::ids::RunId;
use crate::job::Range;
use crate::pacing::Pacing;
use crate::ports::Ledger;
use crate::ports::ledger::{Created, Fence, Recorded, Reservation, RunChange, Settled, WorkerInfo};
use crate::run::{KeptRun, RunRecord, RunSpec, RunState, Snapshot};
use crate::seqset::SeqSet;

pub struct Joined {
    inner: Arc<dyn Ledger>,
    protocol: u32,
}

impl Joined {
    /// Of a role with `protocol`, which is that of the mesh.
    pub fn new(inner: Arc<dyn Ledger>, protocol: u32) -> Self {
        Self { inner, protocol }
    }

    /// A ledger that another protocol took over meanwhile is left alone.
    async fn note(&self) -> Result<()> {
        let (noted, protocol) = (self.inner.adopt_protocol(None, self.protocol).await?, self.protocol);
        if noted == protocol {
            return Ok(());
        }
        Err(Error::failed_precondition(format!(
            "the mesh has protocol {noted} now, and this role has protocol {protocol}: stop it, or give it the version that the mesh runs"
        )))
    }
}

#[async_trait]
impl Ledger for Joined {
    async fn create_run(&self, spec: &RunSpec, request_id: &str) -> Result<Created> {
        self.note().await?;
        self.inner.create_run(spec, request_id).await
    }

    async fn run(&self, run: &RunId) -> Result<Option<RunRecord>> {
        self.inner.run(run).await
    }

    async fn run_ids(&self, before: Option<&RunId>, limit: usize) -> Result<Vec<RunId>> {
        self.inner.run_ids(before, limit).await
    }

    async fn active_run_ids(&self) -> Result<Vec<RunId>> {
        self.inner.active_run_ids().await
    }

    async fn unkept_run_ids(&self, after: Option<&RunId>, limit: usize) -> Result<Vec<RunId>> {
        self.inner.unkept_run_ids(after, limit).await
    }

    async fn note_kept(&self, run: &RunId, revision: u64) -> Result<()> {
        self.inner.note_kept(run, revision).await
    }

    async fn change_run(&self, run: &RunId, change: &RunChange) -> Result<RunRecord> {
        self.inner.change_run(run, change).await
    }

    async fn lease(&self, run: &RunId, owner: &str, ttl: Duration) -> Result<Option<Fence>> {
        self.inner.lease(run, owner, ttl).await
    }

    async fn release(&self, run: &RunId, fence: Fence) -> Result<()> {
        self.inner.release(run, fence).await
    }

    async fn keep(&self, run: &RunId, fence: Fence, ttl: Duration, pacing: &Pacing) -> Result<RunRecord> {
        self.inner.keep(run, fence, ttl, pacing).await
    }

    async fn reserve(&self, run: &RunId, fence: Fence, reservation: &Reservation) -> Result<Range> {
        self.inner.reserve(run, fence, reservation).await
    }

    async fn confirm(&self, run: &RunId, fence: Fence, range: &Range, producer: &str) -> Result<()> {
        self.inner.confirm(run, fence, range, producer).await
    }

    async fn outstanding(&self, run: &RunId) -> Result<Vec<Range>> {
        self.inner.outstanding(run).await
    }

    async fn advance_state(
        &self,
        run: &RunId,
        fence: Fence,
        next: RunState,
        failure: Option<&str>,
    ) -> Result<RunRecord> {
        self.inner.advance_state(run, fence, next, failure).await
    }

    async fn record(&self, group: &str, worker: &str, settled: &[Settled]) -> Result<Recorded> {
        self.inner.record(group, worker, settled).await
    }

    async fn forget(&self, run: &RunId, group: &str, seqs: &[u64]) -> Result<u64> {
        self.inner.forget(run, group, seqs).await
    }

    async fn restore_run(&self, kept: &KeptRun) -> Result<RunRecord> {
        self.note().await?;
        self.inner.restore_run(kept).await
    }

    async fn snapshot(&self, run: &RunId, group: &str) -> Result<Option<Snapshot>> {
        self.inner.snapshot(run, group).await
    }

    async fn admitted(&self, run: &RunId, group: &str) -> Result<SeqSet> {
        self.inner.admitted(run, group).await
    }

    async fn dead(&self, run: &RunId, group: &str) -> Result<SeqSet> {
        self.inner.dead(run, group).await
    }

    async fn heartbeat(&self, worker: &WorkerInfo, ttl: Duration) -> Result<()> {
        self.note().await?;
        self.inner.heartbeat(worker, ttl).await
    }

    async fn forget_worker(&self, worker_id: &str) -> Result<()> {
        self.inner.forget_worker(worker_id).await
    }

    async fn workers(&self) -> Result<Vec<WorkerInfo>> {
        self.inner.workers().await
    }

    async fn protocol(&self) -> Result<Option<u32>> {
        self.inner.protocol().await
    }

    async fn adopt_protocol(&self, found: Option<u32>, mine: u32) -> Result<u32> {
        self.inner.adopt_protocol(found, mine).await
    }

    async fn check(&self) -> Result<String> {
        self.inner.check().await
    }
}

//! The ledger, measured. `record` is the counting of a batch.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use paceline_core::Result;
use paceline_core::ids::RunId;
use paceline_core::job::Range;
use paceline_core::pacing::Pacing;
use paceline_core::ports::Ledger;
use paceline_core::ports::ledger::{Created, Fence, Recorded, Reservation, RunChange, Settled, WorkerInfo};
use paceline_core::run::{KeptRun, RunRecord, RunSpec, RunState, Snapshot};
use paceline_core::seqset::SeqSet;

use super::calls;
use crate::telemetry::metrics::Metrics;

calls!("ledger": create_run, run, run_ids, active_run_ids, unkept_run_ids, note_kept, change_run, lease, release, keep,
    reserve, confirm, outstanding, advance_state, record, forget, restore_run, snapshot, admitted, dead, heartbeat,
    forget_worker, workers, protocol, adopt_protocol, check);

pub struct Metered {
    inner: Arc<dyn Ledger>,
    calls: Calls,
}

impl Metered {
    pub fn new(inner: Arc<dyn Ledger>, metrics: &Metrics) -> Self {
        Self { inner, calls: Calls::new(metrics) }
    }
}

#[async_trait]
impl Ledger for Metered {
    async fn create_run(&self, spec: &RunSpec, request_id: &str) -> Result<Created> {
        self.calls.create_run.time(self.inner.create_run(spec, request_id)).await
    }

    async fn run(&self, run: &RunId) -> Result<Option<RunRecord>> {
        self.calls.run.time(self.inner.run(run)).await
    }

    async fn run_ids(&self, before: Option<&RunId>, limit: usize) -> Result<Vec<RunId>> {
        self.calls.run_ids.time(self.inner.run_ids(before, limit)).await
    }

    async fn active_run_ids(&self) -> Result<Vec<RunId>> {
        self.calls.active_run_ids.time(self.inner.active_run_ids()).await
    }

    async fn unkept_run_ids(&self, after: Option<&RunId>, limit: usize) -> Result<Vec<RunId>> {
        self.calls.unkept_run_ids.time(self.inner.unkept_run_ids(after, limit)).await
    }

    async fn note_kept(&self, run: &RunId, revision: u64) -> Result<()> {
        self.calls.note_kept.time(self.inner.note_kept(run, revision)).await
    }

    async fn change_run(&self, run: &RunId, change: &RunChange) -> Result<RunRecord> {
        self.calls.change_run.time(self.inner.change_run(run, change)).await
    }

    async fn lease(&self, run: &RunId, owner: &str, ttl: Duration) -> Result<Option<Fence>> {
        self.calls.lease.time(self.inner.lease(run, owner, ttl)).await
    }

    async fn release(&self, run: &RunId, fence: Fence) -> Result<()> {
        self.calls.release.time(self.inner.release(run, fence)).await
    }

    async fn keep(&self, run: &RunId, fence: Fence, ttl: Duration, pacing: &Pacing) -> Result<RunRecord> {
        self.calls.keep.time(self.inner.keep(run, fence, ttl, pacing)).await
    }

    async fn reserve(&self, run: &RunId, fence: Fence, reservation: &Reservation) -> Result<Range> {
        self.calls.reserve.time(self.inner.reserve(run, fence, reservation)).await
    }

    async fn confirm(&self, run: &RunId, fence: Fence, range: &Range, producer: &str) -> Result<()> {
        self.calls.confirm.time(self.inner.confirm(run, fence, range, producer)).await
    }

    async fn outstanding(&self, run: &RunId) -> Result<Vec<Range>> {
        self.calls.outstanding.time(self.inner.outstanding(run)).await
    }

    async fn advance_state(
        &self,
        run: &RunId,
        fence: Fence,
        next: RunState,
        failure: Option<&str>,
    ) -> Result<RunRecord> {
        self.calls.advance_state.time(self.inner.advance_state(run, fence, next, failure)).await
    }

    async fn record(&self, group: &str, worker: &str, settled: &[Settled]) -> Result<Recorded> {
        self.calls.record.time(self.inner.record(group, worker, settled)).await
    }

    async fn forget(&self, run: &RunId, group: &str, seqs: &[u64]) -> Result<u64> {
        self.calls.forget.time(self.inner.forget(run, group, seqs)).await
    }

    async fn restore_run(&self, kept: &KeptRun) -> Result<RunRecord> {
        self.calls.restore_run.time(self.inner.restore_run(kept)).await
    }

    async fn snapshot(&self, run: &RunId, group: &str) -> Result<Option<Snapshot>> {
        self.calls.snapshot.time(self.inner.snapshot(run, group)).await
    }

    async fn admitted(&self, run: &RunId, group: &str) -> Result<SeqSet> {
        self.calls.admitted.time(self.inner.admitted(run, group)).await
    }

    async fn dead(&self, run: &RunId, group: &str) -> Result<SeqSet> {
        self.calls.dead.time(self.inner.dead(run, group)).await
    }

    async fn heartbeat(&self, worker: &WorkerInfo, ttl: Duration) -> Result<()> {
        self.calls.heartbeat.time(self.inner.heartbeat(worker, ttl)).await
    }

    async fn forget_worker(&self, worker_id: &str) -> Result<()> {
        self.calls.forget_worker.time(self.inner.forget_worker(worker_id)).await
    }

    async fn workers(&self) -> Result<Vec<WorkerInfo>> {
        self.calls.workers.time(self.inner.workers()).await
    }

    async fn protocol(&self) -> Result<Option<u32>> {
        self.calls.protocol.time(self.inner.protocol()).await
    }

    async fn adopt_protocol(&self, found: Option<u32>, mine: u32) -> Result<u32> {
        self.calls.adopt_protocol.time(self.inner.adopt_protocol(found, mine)).await
    }

    async fn check(&self) -> Result<String> {
        self.calls.check.time(self.inner.check()).await
    }
}

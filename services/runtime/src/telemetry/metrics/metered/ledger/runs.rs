//! The runs port, measured.

use async_trait::async_trait;
use paceline_core::Result;
use paceline_core::ids::RunId;
use paceline_core::ports::runs::{Created, Runs};
use paceline_core::run::{KeptRun, RunChange, RunRecord, RunSpec};

use super::super::call::metered;

metered!(MeteredRuns, Runs, "ledger": create_run, run, run_ids, active_run_ids, unkept_run_ids, note_kept, change_run, restore_run);

#[async_trait]
impl Runs for MeteredRuns {
    async fn create(&self, spec: &RunSpec, request_id: &str) -> Result<Created> {
        self.calls.create_run.time(self.inner.create(spec, request_id)).await
    }

    async fn find(&self, run: &RunId) -> Result<Option<RunRecord>> {
        self.calls.run.time(self.inner.find(run)).await
    }

    async fn list(&self, before: Option<&RunId>, limit: usize) -> Result<Vec<RunId>> {
        self.calls.run_ids.time(self.inner.list(before, limit)).await
    }

    async fn active(&self) -> Result<Vec<RunId>> {
        self.calls.active_run_ids.time(self.inner.active()).await
    }

    async fn unkept(&self, after: Option<&RunId>, limit: usize) -> Result<Vec<RunId>> {
        self.calls.unkept_run_ids.time(self.inner.unkept(after, limit)).await
    }

    async fn note_kept(&self, run: &RunId, revision: u64) -> Result<()> {
        self.calls.note_kept.time(self.inner.note_kept(run, revision)).await
    }

    async fn change(&self, run: &RunId, change: &RunChange) -> Result<RunRecord> {
        self.calls.change_run.time(self.inner.change(run, change)).await
    }

    async fn restore(&self, kept: &KeptRun) -> Result<RunRecord> {
        self.calls.restore_run.time(self.inner.restore(kept)).await
    }
}

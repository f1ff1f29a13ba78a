//! The kept runs, measured.

use async_trait::async_trait;
use paceline_core::Result;
use paceline_core::ids::RunId;
use paceline_core::ports::KeptRuns;
use paceline_core::run::KeptRun;

use super::super::call::metered;

metered!(MeteredKeptRuns, KeptRuns, "sink": keep_run, kept_run, kept_runs);

#[async_trait]
impl KeptRuns for MeteredKeptRuns {
    async fn keep(&self, run: &KeptRun) -> Result<()> {
        self.calls.keep_run.time(self.inner.keep(run)).await
    }

    async fn find(&self, run: &RunId) -> Result<Option<KeptRun>> {
        self.calls.kept_run.time(self.inner.find(run)).await
    }

    async fn list(&self, after: Option<&RunId>, limit: usize) -> Result<Vec<KeptRun>> {
        self.calls.kept_runs.time(self.inner.list(after, limit)).await
    }
}

//! The kept runs, measured.

use std::sync::Arc;

use async_trait::async_trait;
use paceline_core::Result;
use paceline_core::ids::RunId;
use paceline_core::ports::KeptRuns;
use paceline_core::run::KeptRun;

use super::super::call::calls;
use crate::telemetry::metrics::Metrics;

calls!("sink": keep_run, kept_run, kept_runs);

pub struct MeteredKeptRuns {
    inner: Arc<dyn KeptRuns>,
    calls: Calls,
}

impl MeteredKeptRuns {
    pub fn new(inner: Arc<dyn KeptRuns>, metrics: &Metrics) -> Self {
        Self { inner, calls: Calls::new(metrics) }
    }
}

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

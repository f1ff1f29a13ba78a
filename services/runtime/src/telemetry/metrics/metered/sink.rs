//! The sink, measured. `upsert` is a bulk.

use std::sync::Arc;

use async_trait::async_trait;
use paceline_core::Result;
use paceline_core::document::{Document, Status};
use paceline_core::ids::RunId;
use paceline_core::ports::Sink;
use paceline_core::ports::sink::{StoredId, Verdict};
use paceline_core::run::KeptRun;

use super::calls;
use crate::telemetry::metrics::Metrics;

calls!("sink": prepare, upsert, count, ids, get, delete, keep_run, kept_run, kept_runs, check);

pub struct Metered {
    inner: Arc<dyn Sink>,
    calls: Calls,
}

impl Metered {
    pub fn new(inner: Arc<dyn Sink>, metrics: &Metrics) -> Self {
        Self { inner, calls: Calls::new(metrics) }
    }
}

#[async_trait]
impl Sink for Metered {
    async fn prepare(&self) -> Result<()> {
        self.calls.prepare.time(self.inner.prepare()).await
    }

    async fn upsert(&self, documents: &[Document]) -> Result<Vec<Verdict>> {
        self.calls.upsert.time(self.inner.upsert(documents)).await
    }

    async fn count(&self, run: &RunId, status: Status) -> Result<u64> {
        self.calls.count.time(self.inner.count(run, status)).await
    }

    async fn ids(&self, run: &RunId, after: Option<&StoredId>, limit: usize) -> Result<Vec<StoredId>> {
        self.calls.ids.time(self.inner.ids(run, after, limit)).await
    }

    async fn get(&self, run: &RunId, job_id: &str) -> Result<Option<Document>> {
        self.calls.get.time(self.inner.get(run, job_id)).await
    }

    async fn delete(&self, run: &RunId, job_id: &str) -> Result<bool> {
        self.calls.delete.time(self.inner.delete(run, job_id)).await
    }

    async fn keep_run(&self, run: &KeptRun) -> Result<()> {
        self.calls.keep_run.time(self.inner.keep_run(run)).await
    }

    async fn kept_run(&self, run: &RunId) -> Result<Option<KeptRun>> {
        self.calls.kept_run.time(self.inner.kept_run(run)).await
    }

    async fn kept_runs(&self, after: Option<&RunId>, limit: usize) -> Result<Vec<KeptRun>> {
        self.calls.kept_runs.time(self.inner.kept_runs(after, limit)).await
    }

    async fn check(&self) -> Result<String> {
        self.calls.check.time(self.inner.check()).await
    }
}

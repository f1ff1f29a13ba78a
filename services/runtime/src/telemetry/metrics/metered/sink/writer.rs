//! The writing of documents; `upsert` is a bulk, measured.

use std::sync::Arc;

use async_trait::async_trait;
use paceline_core::Result;
use paceline_core::document::Document;
use paceline_core::ids::RunId;
use paceline_core::ports::documents::{DocumentWriter, Verdict};

use super::super::call::calls;
use crate::telemetry::metrics::Metrics;

calls!("sink": prepare, upsert, delete, check);

pub struct MeteredWriter {
    inner: Arc<dyn DocumentWriter>,
    calls: Calls,
}

impl MeteredWriter {
    pub fn new(inner: Arc<dyn DocumentWriter>, metrics: &Metrics) -> Self {
        Self { inner, calls: Calls::new(metrics) }
    }
}

#[async_trait]
impl DocumentWriter for MeteredWriter {
    async fn prepare(&self) -> Result<()> {
        self.calls.prepare.time(self.inner.prepare()).await
    }

    async fn upsert(&self, documents: &[Document]) -> Result<Vec<Verdict>> {
        self.calls.upsert.time(self.inner.upsert(documents)).await
    }

    async fn delete(&self, run: &RunId, job_id: &str) -> Result<bool> {
        self.calls.delete.time(self.inner.delete(run, job_id)).await
    }

    async fn check(&self) -> Result<String> {
        self.calls.check.time(self.inner.check()).await
    }
}

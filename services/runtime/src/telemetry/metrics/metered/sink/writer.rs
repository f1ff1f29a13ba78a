//! The writing of documents; `upsert` is a bulk, measured.

use async_trait::async_trait;
use paceline_core::Result;
use paceline_core::document::Document;
use paceline_core::ids::RunId;
use paceline_core::ports::documents::{DocumentWriter, Verdict};

use super::super::call::metered;

metered!(MeteredWriter, DocumentWriter, "sink": prepare, upsert, delete, check);

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

//! The reading of documents, measured.

use async_trait::async_trait;
use paceline_core::Result;
use paceline_core::document::{Document, Status};
use paceline_core::ids::RunId;
use paceline_core::ports::documents::{DocumentReader, StoredId};

use super::super::call::metered;

metered!(MeteredReader, DocumentReader, "sink": count, ids, get);

#[async_trait]
impl DocumentReader for MeteredReader {
    async fn count(&self, run: &RunId, status: Status) -> Result<u64> {
        self.calls.count.time(self.inner.count(run, status)).await
    }

    async fn ids(&self, run: &RunId, after: Option<&StoredId>, limit: usize) -> Result<Vec<StoredId>> {
        self.calls.ids.time(self.inner.ids(run, after, limit)).await
    }

    async fn get(&self, run: &RunId, job_id: &str) -> Result<Option<Document>> {
        self.calls.get.time(self.inner.get(run, job_id)).await
    }
}

//! The reading of documents.

use async_trait::async_trait;
use paceline_core::document::{Document, Status};
use paceline_core::error::codes;
use paceline_core::ids::RunId;
use paceline_core::ports::documents::{DocumentReader, StoredId};
use paceline_core::{Error, Result};

use super::EmbeddedSink;
use super::rows::{self, Key};

/// The most ids in a page; the port says so.
const IDS_PAGE_MAX: usize = 10_000;

#[async_trait]
impl DocumentReader for EmbeddedSink {
    async fn count(&self, run: &RunId, status: Status) -> Result<u64> {
        let run = run.clone();
        self.database.read(move |connection| rows::count(connection, &run, status)).await
    }

    async fn ids(&self, run: &RunId, after: Option<&StoredId>, limit: usize) -> Result<Vec<StoredId>> {
        let (run, after) = (run.clone(), after.cloned());
        let limit = limit.clamp(1, IDS_PAGE_MAX);
        self.database.read(move |connection| rows::ids(connection, &run, after.as_ref(), limit)).await
    }

    async fn get(&self, run: &RunId, job_id: &str) -> Result<Option<Document>> {
        let key = Key::new(run, job_id);
        let Some(body) = self.database.read(move |connection| rows::get(connection, &key)).await? else {
            return Ok(None);
        };
        let unreadable = |e| {
            Error::internal(format!("the stored document {job_id} cannot be read: {e}"))
                .coded(codes::STORED_DATA_UNREADABLE)
        };
        serde_json::from_str(&body).map(Some).map_err(unreadable)
    }
}

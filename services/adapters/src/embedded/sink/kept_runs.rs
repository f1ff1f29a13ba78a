//! The kept runs: a copy of every run beside the documents.

use async_trait::async_trait;
use paceline_core::error::codes;
use paceline_core::ids::RunId;
use paceline_core::ports::KeptRuns;
use paceline_core::run::KeptRun;
use paceline_core::{Error, Result};

use super::{EmbeddedSink, runs};

/// The most runs in a page; the port says so.
const RUNS_PAGE_MAX: usize = 1_000;

#[async_trait]
impl KeptRuns for EmbeddedSink {
    async fn keep(&self, run: &KeptRun) -> Result<()> {
        let row = runs::Row::new(run)?;
        self.database.write(move |connection| Ok(runs::keep(connection, &row)?)).await
    }

    async fn find(&self, run: &RunId) -> Result<Option<KeptRun>> {
        let run = run.clone();
        let body = self.database.read(move |connection| runs::body(connection, &run)).await?;
        body.map(|body| kept(&body)).transpose()
    }

    async fn list(&self, after: Option<&RunId>, limit: usize) -> Result<Vec<KeptRun>> {
        let (after, limit) = (after.cloned(), limit.clamp(1, RUNS_PAGE_MAX));
        let bodies = self.database.read(move |connection| runs::bodies(connection, after.as_ref(), limit)).await?;
        bodies.iter().map(|body| kept(body)).collect()
    }
}

fn kept(body: &str) -> Result<KeptRun> {
    serde_json::from_str(body).map_err(|e| {
        Error::internal(format!("what is kept of a run cannot be read: {e}")).coded(codes::STORED_DATA_UNREADABLE)
    })
}

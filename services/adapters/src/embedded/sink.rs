//! The sink port over one SQLite file: what `paceline dev` stores documents in.
//!
//! A document's key is (run, seq), so a run's documents are appended side by side and listed without sorting. Only a document
//! whose job id is not `<run>-<seq>` keeps its job id as well, as `foreign_id`.

mod rows;
mod runs;

use std::path::Path;

use async_trait::async_trait;
use paceline_core::document::{Document, Status};
use paceline_core::error::codes;
use paceline_core::ids::RunId;
use paceline_core::ports::sink::{Sink, StoredId, Verdict, refusal};
use paceline_core::run::KeptRun;
use paceline_core::{Error, Result};

use super::database::Database;
use rows::{Batch, Key};

/// The file's name inside the data folder.
const FILE_NAME: &str = "sink.db";
/// The most ids in a page; the port says so.
const IDS_PAGE_MAX: usize = 10_000;
/// The most runs in a page; the port says so.
const RUNS_PAGE_MAX: usize = 1_000;

/// Documents in a file of a folder.
#[derive(Clone)]
pub struct EmbeddedSink {
    database: Database,
}

impl EmbeddedSink {
    /// Opens or makes the file in `folder`, which belongs to this process until the last clone is dropped.
    pub fn open(folder: &Path) -> Result<Self> {
        let schema = format!("{}{}", rows::SCHEMA, runs::SCHEMA);
        Ok(Self { database: Database::open(folder, FILE_NAME, &schema)? })
    }
}

// === impl Sink ===

#[async_trait]
impl Sink for EmbeddedSink {
    async fn prepare(&self) -> Result<()> {
        // `open` made the tables.
        Ok(())
    }

    async fn upsert(&self, documents: &[Document]) -> Result<Vec<Verdict>> {
        let mut batch = Batch::default();
        let verdicts = documents.iter().map(|document| verdict(&mut batch, document)).collect::<Result<Vec<_>>>()?;
        if !batch.is_empty() {
            self.database.write(move |connection| Ok(batch.store(connection)?)).await?;
        }
        Ok(verdicts)
    }

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

    async fn delete(&self, run: &RunId, job_id: &str) -> Result<bool> {
        let key = Key::new(run, job_id);
        self.database.write(move |connection| Ok(rows::delete(connection, &key)?)).await
    }

    async fn keep_run(&self, run: &KeptRun) -> Result<()> {
        let row = runs::Row::new(run)?;
        self.database.write(move |connection| Ok(runs::keep(connection, &row)?)).await
    }

    async fn kept_run(&self, run: &RunId) -> Result<Option<KeptRun>> {
        let run = run.clone();
        let body = self.database.read(move |connection| runs::body(connection, &run)).await?;
        body.map(|body| kept(&body)).transpose()
    }

    async fn kept_runs(&self, after: Option<&RunId>, limit: usize) -> Result<Vec<KeptRun>> {
        let (after, limit) = (after.cloned(), limit.clamp(1, RUNS_PAGE_MAX));
        let bodies = self.database.read(move |connection| runs::bodies(connection, after.as_ref(), limit)).await?;
        bodies.iter().map(|body| kept(body)).collect()
    }

    async fn check(&self) -> Result<String> {
        let version =
            self.database.read(|c| c.query_row("SELECT sqlite_version()", [], |row| row.get::<_, String>(0))).await?;
        Ok(format!("SQLite {version}, {}", self.database.path().display()))
    }
}

fn kept(body: &str) -> Result<KeptRun> {
    serde_json::from_str(body).map_err(|e| {
        Error::internal(format!("what is kept of a run cannot be read: {e}")).coded(codes::STORED_DATA_UNREADABLE)
    })
}

/// The verdict that holds once the batch is committed.
fn verdict(batch: &mut Batch, document: &Document) -> Result<Verdict> {
    if let Some(reason) = refusal(document) {
        return Ok(Verdict::Reject { reason });
    }
    batch.push(document)?;
    Ok(Verdict::Stored)
}

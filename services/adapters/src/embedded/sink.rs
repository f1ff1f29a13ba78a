//! The handle of a sink in one SQLite file, and the writing of documents. [`reader`] and [`kept_runs`] implement the other ports for it.
//!
//! A document's key is (run, seq), so a run's documents are appended side by side and listed without sorting. Only a document
//! whose job id is not `<run>-<seq>` keeps its job id as well, as `foreign_id`.

mod kept_runs;
mod reader;
mod rows;
mod runs;

use std::path::Path;

use async_trait::async_trait;
use paceline_core::Result;
use paceline_core::document::Document;
use paceline_core::ids::RunId;
use paceline_core::ports::documents::{DocumentWriter, Verdict, refusal};

use super::database::Database;
use rows::{Key, RowBatch};

/// The file's name inside the data folder.
const FILE_NAME: &str = "sink.db";

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

#[async_trait]
impl DocumentWriter for EmbeddedSink {
    async fn prepare(&self) -> Result<()> {
        // `open` made the tables.
        Ok(())
    }

    async fn upsert(&self, documents: &[Document]) -> Result<Vec<Verdict>> {
        let mut batch = RowBatch::default();
        let verdicts = documents.iter().map(|document| verdict(&mut batch, document)).collect::<Result<Vec<_>>>()?;
        if !batch.is_empty() {
            self.database.write(move |connection| Ok(batch.store(connection)?)).await?;
        }
        Ok(verdicts)
    }

    async fn delete(&self, run: &RunId, job_id: &str) -> Result<bool> {
        let key = Key::new(run, job_id);
        self.database.write(move |connection| Ok(rows::delete(connection, &key)?)).await
    }

    async fn check(&self) -> Result<String> {
        let version =
            self.database.read(|c| c.query_row("SELECT sqlite_version()", [], |row| row.get::<_, String>(0))).await?;
        Ok(format!("SQLite {version}, {}", self.database.path().display()))
    }
}

/// The verdict that holds once the batch is committed.
fn verdict(batch: &mut RowBatch, document: &Document) -> Result<Verdict> {
    if let Some(reason) = refusal(document) {
        return Ok(Verdict::Reject { reason });
    }
    batch.push(document)?;
    Ok(Verdict::Stored)
}

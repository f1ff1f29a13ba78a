//! The table of what is kept of runs, from which a lost ledger is rebuilt.

use paceline_core::error::codes;
use paceline_core::ids::RunId;
use paceline_core::run::KeptRun;
use paceline_core::{Error, Result};
use rusqlite::{Connection, OptionalExtension as _, params};

pub const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS kept_runs (
        run_id TEXT PRIMARY KEY, revision INTEGER NOT NULL, cursor INTEGER NOT NULL, body TEXT NOT NULL) STRICT;
";

/// A run on its way to the writer's thread, encoded by the caller.
pub struct Row {
    run: RunId,
    revision: i64,
    cursor: i64,
    body: String,
}

impl Row {
    pub fn new(run: &KeptRun) -> Result<Self> {
        let id = &run.spec.run_id;
        let body = serde_json::to_string(run);
        let body = body.map_err(|e| {
            Error::internal(format!("run {id} cannot be encoded: {e}")).coded(codes::STORED_DATA_UNREADABLE)
        })?;
        let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        Ok(Self { run: id.clone(), revision: signed(run.revision), cursor: signed(run.cursor), body })
    }
}

/// A lower (revision, cursor) than the one that is kept changes nothing.
pub fn keep(connection: &Connection, row: &Row) -> rusqlite::Result<()> {
    let upsert = "INSERT INTO kept_runs VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE
                  SET revision = excluded.revision, cursor = excluded.cursor, body = excluded.body
                  WHERE (excluded.revision, excluded.cursor) >= (revision, cursor)";
    let Row { run, revision, cursor, body } = row;
    connection.prepare_cached(upsert)?.execute(params![run.as_str(), revision, cursor, body]).map(drop)
}

pub fn body(connection: &Connection, run: &RunId) -> rusqlite::Result<Option<String>> {
    let query = "SELECT body FROM kept_runs WHERE run_id = ?1";
    connection.prepare_cached(query)?.query_row([run.as_str()], |row| row.get(0)).optional()
}

pub fn bodies(connection: &Connection, after: Option<&RunId>, limit: usize) -> rusqlite::Result<Vec<String>> {
    // No id is empty, so an empty one passes nothing.
    let after = after.map_or("", RunId::as_str);
    let query = "SELECT body FROM kept_runs WHERE run_id > ?1 ORDER BY run_id LIMIT ?2";
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    connection.prepare_cached(query)?.query_map(params![after, limit], |row| row.get(0))?.collect()
}

//! Runs that have ended and that the sink does not keep as ended yet. A run is listed in the transaction that ends it, and taken
//! off the list when the sink has confirmed its end.

use paceline_core::ids::RunId;
use paceline_core::run::RunRecord;
use rusqlite::{Connection, params};

use super::rows::run_id;
use super::schema::signed;

/// Brings the list up to date with a run that was changed.
pub(super) fn update(c: &Connection, record: &RunRecord) -> rusqlite::Result<()> {
    let (run, revision) = (record.spec.run_id.as_str(), signed(record.revision));
    if record.state.is_terminal() {
        c.prepare_cached("INSERT OR REPLACE INTO unkept VALUES (?1, ?2)")?.execute(params![run, revision])?;
    } else {
        c.prepare_cached("DELETE FROM unkept WHERE run_id = ?1")?.execute([run])?;
    }
    Ok(())
}

pub(super) fn list(c: &Connection, after: Option<&RunId>, limit: usize) -> rusqlite::Result<Vec<RunId>> {
    // No id is empty, so an empty one passes nothing.
    let (after, limit) = (after.map_or("", RunId::as_str), i64::try_from(limit).unwrap_or(i64::MAX));
    let query = "SELECT run_id FROM unkept WHERE run_id > ?1 ORDER BY run_id LIMIT ?2";
    c.prepare_cached(query)?.query_map(params![after, limit], run_id)?.collect()
}

pub(super) fn note_kept(c: &Connection, run: &RunId, revision: u64) -> rusqlite::Result<()> {
    let delete = "DELETE FROM unkept WHERE run_id = ?1 AND revision = ?2";
    c.prepare_cached(delete)?.execute(params![run.as_str(), signed(revision)]).map(drop)
}

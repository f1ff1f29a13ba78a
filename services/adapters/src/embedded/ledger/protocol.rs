//! The protocol of the mesh: one number, noted by whoever comes first.

use paceline_core::ports::ledger::PROTOCOL_FIRST;
use rusqlite::{Connection, OptionalExtension as _};

use crate::embedded::database::WriteError;

pub(super) const TABLE: &str = "CREATE TABLE IF NOT EXISTS protocol (only INTEGER PRIMARY KEY CHECK (only = 1), number INTEGER NOT NULL) STRICT;\n";

pub(super) fn read(c: &Connection) -> rusqlite::Result<Option<u32>> {
    if let Some(noted) = noted(c)? {
        return Ok(Some(noted));
    }
    let has_runs: bool = c.query_row("SELECT EXISTS (SELECT 1 FROM runs)", [], |row| row.get(0))?;
    Ok(has_runs.then_some(PROTOCOL_FIRST))
}

pub(super) fn adopt(c: &Connection, found: Option<u32>, mine: u32) -> Result<u32, WriteError> {
    if let Some(noted) = noted(c)?.filter(|noted| Some(*noted) != found) {
        return Ok(noted);
    }
    c.execute("INSERT OR REPLACE INTO protocol VALUES (1, ?1)", [mine])?;
    Ok(mine)
}

fn noted(c: &Connection) -> rusqlite::Result<Option<u32>> {
    c.query_row("SELECT number FROM protocol", [], |row| row.get(0)).optional()
}

//! The protocol of the mesh: one number, noted by whoever comes first.

use paceline_core::ports::ledger::PROTOCOL_FIRST;
use rusqlite::{Connection, OptionalExtension as _};

use crate::embedded::database::WriteError;

pub(super) const TABLE: &str = "CREATE TABLE IF NOT EXISTS protocol (only INTEGER PRIMARY KEY CHECK (only = 1), number INTEGER NOT NULL) STRICT;\n";

pub(super) fn read(c: &Connection, now_ms: i64) -> rusqlite::Result<Option<u32>> {
    if let Some(noted) = noted(c)? {
        return Ok(Some(noted));
    }
    let query = "SELECT EXISTS (SELECT 1 FROM runs) OR EXISTS (SELECT 1 FROM workers WHERE until_ms > ?1)";
    let is_in_use: bool = c.query_row(query, [now_ms], |row| row.get(0))?;
    Ok(is_in_use.then_some(PROTOCOL_FIRST))
}

pub(super) fn adopt(c: &Connection, found: Option<u32>, mine: u32, now_ms: i64) -> Result<u32, WriteError> {
    if noted(c)? == Some(mine) {
        return Ok(mine);
    }
    if let Some(has) = read(c, now_ms)?.filter(|has| Some(*has) != found && *has != mine) {
        return Ok(has);
    }
    c.execute("INSERT OR REPLACE INTO protocol VALUES (1, ?1)", [mine])?;
    Ok(mine)
}

fn noted(c: &Connection) -> rusqlite::Result<Option<u32>> {
    c.query_row("SELECT number FROM protocol", [], |row| row.get(0)).optional()
}

//! Rows of runs as the values that they are of.

use paceline_core::error::codes;
use paceline_core::ids::RunId;
use paceline_core::ports::runs::unknown;
use paceline_core::run::{RunRecord, RunState};
use paceline_core::{Error, Result};
use rusqlite::types::{FromSqlError, Type};
use rusqlite::{Connection, OptionalExtension, Row};

use super::schema::{Json, unsigned};
use crate::embedded::database::WriteError;

const FIND: &str = "SELECT spec, state, revision, cursor, pacing, ended_at_ms, failure
                    FROM runs JOIN specs USING (run_id) WHERE run_id = ?1";

pub(super) fn find(c: &Connection, run: &RunId) -> rusqlite::Result<Option<RunRecord>> {
    c.prepare_cached(FIND)?.query_row([run.as_str()], record).optional()
}

/// The run's record; an error if the ledger does not know the run.
pub(super) fn known(c: &Connection, run: &RunId) -> Result<RunRecord, WriteError> {
    find(c, run)?.ok_or_else(|| unknown(run).into())
}

fn record(row: &Row<'_>) -> rusqlite::Result<RunRecord> {
    let state: String = row.get("state")?;
    Ok(RunRecord {
        spec: row.get::<_, Json<_>>("spec")?.0,
        state: RunState::parse(&state).ok_or_else(|| unreadable(1, &state))?,
        revision: unsigned(row, "revision")?,
        cursor: unsigned(row, "cursor")?,
        pacing: row.get::<_, Json<_>>("pacing")?.0,
        ended_at_ms: row.get("ended_at_ms")?,
        failure: row.get("failure")?,
    })
}

pub(super) fn run_id(row: &Row<'_>) -> rusqlite::Result<RunId> {
    let text: String = row.get(0)?;
    RunId::parse(&text).map_err(|_| unreadable(0, &text))
}

fn unreadable(column: usize, text: &str) -> rusqlite::Error {
    let reason = FromSqlError::Other(Box::new(
        Error::internal(format!("{text:?} is not what was written")).coded(codes::LEDGER_DATA_UNREADABLE),
    ));
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(reason))
}

//! Runs: how they are started once, read, listed and changed.

use paceline_core::ids::RunId;
use paceline_core::pacing::Pacing;
use paceline_core::ports::ledger::{Created, Fence, RunChange, check_advance};
use paceline_core::run::{RunRecord, RunSpec, RunState};
use paceline_core::{Error, Result};
use rusqlite::types::{FromSqlError, Type};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::schema::{Json, signed, to_json, unsigned};
use super::{leases, snapshot, unkept, unknown};
use crate::embedded::database::WriteError;

const FIND: &str = "SELECT spec, state, revision, cursor, pacing, ended_at_ms, failure
                    FROM runs JOIN specs USING (run_id) WHERE run_id = ?1";

pub(super) fn create(c: &Connection, spec: &RunSpec, request_id: &str) -> Result<Created, WriteError> {
    let run = spec.run_id.as_str();
    if !request_id.is_empty() {
        let claimed = c.prepare_cached("INSERT OR IGNORE INTO requests VALUES (?1, ?2)")?.execute([request_id, run])?;
        if claimed == 0 {
            let bound = c
                .prepare_cached("SELECT run_id FROM requests WHERE request_id = ?1")?
                .query_row([request_id], run_id)?;
            return Ok(Created::Existing(bound));
        }
    }
    let insert = "INSERT OR IGNORE INTO runs VALUES (?1, ?2, 0, ?3, 0, 0, ?4, '', 0, 0, NULL, NULL)";
    let values = params![run, RunState::Running.name(), spec.total.map(signed), to_json(&Pacing::default())?];
    c.prepare_cached(insert)?.execute(values)?;
    c.prepare_cached("INSERT OR IGNORE INTO specs VALUES (?1, ?2)")?.execute([run, &to_json(spec)?])?;
    Ok(Created::New)
}

pub(super) fn find(c: &Connection, run: &RunId) -> rusqlite::Result<Option<RunRecord>> {
    c.prepare_cached(FIND)?.query_row([run.as_str()], record).optional()
}

/// For a step of a run that must be there.
pub(super) fn known(c: &Connection, run: &RunId) -> Result<RunRecord, WriteError> {
    find(c, run)?.ok_or_else(|| unknown(run).into())
}

pub(super) fn list(c: &Connection, before: Option<&RunId>, limit: usize) -> rusqlite::Result<Vec<RunId>> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let query = "SELECT run_id FROM runs WHERE ?1 IS NULL OR run_id < ?1 ORDER BY run_id DESC LIMIT ?2";
    c.prepare_cached(query)?.query_map(params![before.map(RunId::as_str), limit], run_id)?.collect()
}

pub(super) fn list_active(c: &Connection) -> rusqlite::Result<Vec<RunId>> {
    let query = "SELECT run_id FROM runs WHERE ended_at_ms IS NULL ORDER BY run_id";
    c.prepare_cached(query)?.query_map([], run_id)?.collect()
}

pub(super) fn change(c: &Connection, run: &RunId, change: &RunChange, now_ms: i64) -> Result<RunRecord, WriteError> {
    let current = known(c, run)?;
    if !change.check(&current)? {
        return Ok(current);
    }
    c.prepare_cached("UPDATE specs SET spec = ?2 WHERE run_id = ?1")?
        .execute([run.as_str(), &to_json(&change.spec)?])?;
    c.prepare_cached("UPDATE runs SET total = ?2 WHERE run_id = ?1")?
        .execute(params![run.as_str(), change.spec.total.map(signed)])?;
    step(c, &current, change.state, None, now_ms)
}

pub(super) fn advance(
    c: &Connection,
    run: &RunId,
    fence: Fence,
    next: RunState,
    failure: Option<&str>,
    now_ms: i64,
) -> Result<RunRecord, WriteError> {
    leases::check(c, run, fence)?;
    let record = known(c, run)?;
    if !check_advance(&record, next, snapshot::is_drained(c, &record)?)? {
        return Ok(record);
    }
    step(c, &record, next, failure, now_ms)
}

/// Every change of a run is a new revision.
fn step(
    c: &Connection,
    before: &RunRecord,
    next: RunState,
    failure: Option<&str>,
    now_ms: i64,
) -> Result<RunRecord, WriteError> {
    let run = &before.spec.run_id;
    let update = "UPDATE runs SET state = ?2, revision = revision + 1, ended_at_ms = ?3, failure = ?4, pacing = ?5
                  WHERE run_id = ?1";
    let ended_at_ms = next.is_terminal().then_some(now_ms);
    let pacing = to_json(&before.pacing_on_step(next).unwrap_or(before.pacing))?;
    c.prepare_cached(update)?.execute(params![run.as_str(), next.name(), ended_at_ms, failure, pacing])?;
    let record = known(c, run)?;
    unkept::update(c, &record)?;
    Ok(record)
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
    let reason = FromSqlError::Other(Box::new(Error::internal(format!("{text:?} is not what was written"))));
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(reason))
}

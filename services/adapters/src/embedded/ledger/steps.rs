//! A step of a run along the state diagram, taken by a caller or by the owner.

use paceline_core::Result;
use paceline_core::run::{RunRecord, RunState};
use rusqlite::{Connection, params};

use super::rows::known;
use super::schema::to_json;
use super::unkept;
use crate::embedded::database::WriteError;

/// Every change of a run is a new revision.
pub(super) fn step(
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

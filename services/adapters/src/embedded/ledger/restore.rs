//! Repair of runs: a run that the ledger lost, or that went back in time with it, is brought back to at least what the sink keeps of it.

use paceline_core::Result;
use paceline_core::run::{KeptRun, RunRecord};
use rusqlite::{Connection, params};

use super::schema::{signed, to_json};
use super::{rows, unkept};
use crate::embedded::database::WriteError;

pub(super) fn restore_run(c: &Connection, kept: &KeptRun) -> Result<RunRecord, WriteError> {
    let run = &kept.spec.run_id;
    let held = match rows::find(c, run)? {
        Some(held) => held,
        None => insert(c, kept)?,
    };
    let mut total = held.spec.total;
    let takes_over = kept.revision > held.revision;
    if takes_over {
        overwrite(c, kept)?;
        total = kept.spec.total;
    }
    let cursor = kept.enqueued_within(total);
    if takes_over && cursor == held.cursor && held.state.leaves_failed(kept.state) {
        // By its own pacing the time in FAILED would be an outage.
        let update = "UPDATE runs SET pacing = ?2 WHERE run_id = ?1";
        c.prepare_cached(update)?.execute([run.as_str(), &to_json(&kept.pacing)?])?;
    }
    if cursor > held.cursor {
        // An owner that reserves at the revision it knows is refused, and reads again.
        let update =
            "UPDATE runs SET cursor = ?2, published = published + ?2 - cursor, revision = revision + 1, pacing = ?3
                      WHERE run_id = ?1";
        c.prepare_cached(update)?.execute(params![run.as_str(), signed(cursor), to_json(&kept.pacing)?])?;
        if !takes_over && let Some(state) = held.state.reopened() {
            // Its numbers do not close any more, so somebody has to own it again.
            let update = "UPDATE runs SET state = ?2, ended_at_ms = NULL WHERE run_id = ?1";
            c.prepare_cached(update)?.execute([run.as_str(), state.name()])?;
        }
    }
    let restored = rows::known(c, run)?;
    unkept::update(c, &restored)?;
    Ok(restored)
}

/// Without an owner. Epoch 0 is nobody's: the next lease takes the time as its epoch, which is above all that were handed out before.
fn insert(c: &Connection, kept: &KeptRun) -> Result<RunRecord, WriteError> {
    let run = &kept.spec.run_id;
    let cursor = kept.enqueued_within(kept.spec.total);
    let insert = "INSERT INTO runs VALUES (?1, ?2, ?3, ?4, ?5, ?5, ?6, '', 0, 0, ?7, ?8)";
    c.prepare_cached(insert)?.execute(params![
        run.as_str(),
        kept.state.name(),
        signed(kept.revision),
        kept.spec.total.map(signed),
        signed(cursor),
        to_json(&kept.pacing)?,
        kept.ended_at_ms,
        kept.failure
    ])?;
    c.prepare_cached("INSERT INTO specs VALUES (?1, ?2)")?.execute([run.as_str(), &to_json(&kept.spec)?])?;
    rows::known(c, run)
}

/// Overwrites the columns that a revision changes.
fn overwrite(c: &Connection, kept: &KeptRun) -> Result<(), WriteError> {
    let run = kept.spec.run_id.as_str();
    let update =
        "UPDATE runs SET state = ?2, revision = ?3, total = ?4, ended_at_ms = ?5, failure = ?6 WHERE run_id = ?1";
    c.prepare_cached(update)?.execute(params![
        run,
        kept.state.name(),
        signed(kept.revision),
        kept.spec.total.map(signed),
        kept.ended_at_ms,
        kept.failure
    ])?;
    c.prepare_cached("UPDATE specs SET spec = ?2 WHERE run_id = ?1")?.execute([run, &to_json(&kept.spec)?])?;
    Ok(())
}

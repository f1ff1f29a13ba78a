//! Repair: what the sink knows better than a ledger that was lost or went back in time. Jobs without a document are forgotten,
//! and runs are brought back to at least what is kept of them.

use paceline_core::Result;
use paceline_core::ids::RunId;
use paceline_core::run::{KeptRun, RunRecord};
use rusqlite::{Connection, params};

use super::record::{Bits, CHUNK_SEQS, clear, load, store};
use super::schema::{signed, to_json};
use super::{runs, unkept};
use crate::embedded::database::WriteError;

/// Clears the bits and lowers the counters by exactly those that were set. What each worker processed stays: nobody knows
/// whose the job was.
pub(super) fn forget(c: &Connection, run: &RunId, group: &str, seqs: &[u64]) -> Result<u64, WriteError> {
    runs::known(c, run)?;
    let mut seqs = seqs.to_vec();
    seqs.sort_unstable();
    let (mut admitted, mut dead) = (0, 0);
    for of_one_chunk in seqs.chunk_by(|a, b| a / CHUNK_SEQS == b / CHUNK_SEQS) {
        admitted += clear_bits(c, run, group, Bits::Admitted, of_one_chunk)?;
        dead += clear_bits(c, run, group, Bits::Dead, of_one_chunk)?;
    }
    let update = "UPDATE counts SET processed = processed - ?3, dead = dead - ?4 WHERE run_id = ?1 AND job_group = ?2";
    c.prepare_cached(update)?.execute(params![run.as_str(), group, signed(admitted - dead), signed(dead)])?;
    Ok(admitted)
}

/// How many of the bits of one chunk were set; a chunk that is not there is not made.
fn clear_bits(c: &Connection, run: &RunId, group: &str, kind: Bits, seqs: &[u64]) -> Result<u64, WriteError> {
    let chunk = seqs[0] / CHUNK_SEQS;
    let mut bits = load(c, run, group, kind, chunk)?;
    let cleared = seqs.iter().filter(|seq| clear(&mut bits, **seq)).count() as u64;
    if cleared > 0 {
        store(c, run, group, kind, chunk, &bits)?;
    }
    Ok(cleared)
}

pub(super) fn restore_run(c: &Connection, kept: &KeptRun) -> Result<RunRecord, WriteError> {
    let run = &kept.spec.run_id;
    let held = match runs::find(c, run)? {
        Some(held) => held,
        None => insert(c, kept)?,
    };
    let mut total = held.spec.total;
    let takes_over = kept.revision > held.revision;
    if takes_over {
        overwrite(c, kept)?;
        total = kept.spec.total;
    }
    let cursor = total.map_or(kept.cursor, |total| kept.cursor.min(total));
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
    let restored = runs::known(c, run)?;
    unkept::update(c, &restored)?;
    Ok(restored)
}

/// Without an owner. Epoch 0 is nobody's: the next lease takes the time as its epoch, which is above all that were handed out before.
fn insert(c: &Connection, kept: &KeptRun) -> Result<RunRecord, WriteError> {
    let run = &kept.spec.run_id;
    let cursor = kept.spec.total.map_or(kept.cursor, |total| kept.cursor.min(total));
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
    runs::known(c, run)
}

/// What belongs to a revision.
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

//! Repair of counts: jobs without a document are forgotten, so that they can be done again.

use paceline_core::Result;
use paceline_core::ids::RunId;
use rusqlite::{Connection, params};

use super::bitmaps::{Bits, CHUNK_SEQS, clear, load, store};
use super::rows;
use super::schema::signed;
use crate::embedded::database::WriteError;

/// Clears the bits and lowers the counters by exactly those that were set. What each worker processed stays: nobody knows
/// whose the job was.
pub(super) fn forget(c: &Connection, run: &RunId, group: &str, seqs: &[u64]) -> Result<u64, WriteError> {
    rows::known(c, run)?;
    let mut seqs = seqs.to_vec();
    seqs.sort_unstable();
    let (mut cleared, mut dead) = (0, 0);
    for of_one_chunk in seqs.chunk_by(|a, b| a / CHUNK_SEQS == b / CHUNK_SEQS) {
        cleared += clear_bits(c, run, group, Bits::Counted, of_one_chunk)?;
        dead += clear_bits(c, run, group, Bits::Dead, of_one_chunk)?;
    }
    let update = "UPDATE counts SET processed = processed - ?3, dead = dead - ?4 WHERE run_id = ?1 AND job_group = ?2";
    c.prepare_cached(update)?.execute(params![run.as_str(), group, signed(cleared - dead), signed(dead)])?;
    Ok(cleared)
}

/// Clears bits of one chunk, and answers the number of those that were set. A chunk that does not exist is not made.
fn clear_bits(c: &Connection, run: &RunId, group: &str, kind: Bits, seqs: &[u64]) -> Result<u64, WriteError> {
    let chunk = seqs[0] / CHUNK_SEQS;
    let mut bits = load(c, run, group, kind, chunk)?;
    let cleared = seqs.iter().filter(|seq| clear(&mut bits, **seq)).count() as u64;
    if cleared > 0 {
        store(c, run, group, kind, chunk, &bits)?;
    }
    Ok(cleared)
}

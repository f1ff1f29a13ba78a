//! Bitmaps of jobs, in chunks: which of a run's jobs a group has counted, and which of those are dead.

use paceline_core::Result;
use paceline_core::ids::RunId;
use paceline_core::seqset::SeqSet;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::schema::{signed, unsigned};
use crate::embedded::database::WriteError;

/// Seqs in one chunk: 2 KiB, so that a row fits on a page of the file.
pub(super) const CHUNK_SEQS: u64 = 8 * CHUNK_BYTES as u64;
const CHUNK_BYTES: usize = 2048;

/// One of the bitmaps of a group.
#[derive(Debug, Clone, Copy)]
pub(super) enum Bits {
    /// Processed or dead.
    Counted = 0,
    Dead = 1,
}

/// Sets the bit, and answers `true` if it was not set before. The most significant bit of a byte is the lowest seq, as in Redis.
pub(super) fn set(bits: &mut [u8], seq: u64) -> bool {
    let (byte, bit) = place(seq);
    let was_absent = bits[byte] & bit == 0;
    bits[byte] |= bit;
    was_absent
}

/// Clears the bit, and answers `true` if it was set before.
pub(super) fn clear(bits: &mut [u8], seq: u64) -> bool {
    let (byte, bit) = place(seq);
    let was_there = bits[byte] & bit != 0;
    bits[byte] &= !bit;
    was_there
}

fn place(seq: u64) -> (usize, u8) {
    ((seq % CHUNK_SEQS / 8) as usize, 0x80 >> (seq % 8))
}

pub(super) fn load(c: &Connection, run: &RunId, group: &str, kind: Bits, chunk: u64) -> Result<Vec<u8>, WriteError> {
    let query = "SELECT bits FROM bitmaps WHERE run_id = ?1 AND job_group = ?2 AND kind = ?3 AND chunk = ?4";
    let place = params![run.as_str(), group, kind as i64, signed(chunk)];
    let bits: Option<Vec<u8>> = c.prepare_cached(query)?.query_row(place, |row| row.get(0)).optional()?;
    Ok(bits.unwrap_or_else(|| vec![0; CHUNK_BYTES]))
}

pub(super) fn store(
    c: &Connection,
    run: &RunId,
    group: &str,
    kind: Bits,
    chunk: u64,
    bits: &[u8],
) -> Result<(), WriteError> {
    let upsert = "INSERT INTO bitmaps VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO UPDATE SET bits = excluded.bits";
    c.prepare_cached(upsert)?.execute(params![run.as_str(), group, kind as i64, signed(chunk), bits])?;
    Ok(())
}

/// `None` for an unknown run.
pub(super) fn seqs(c: &Connection, run: &RunId, group: &str, kind: Bits) -> rusqlite::Result<Option<SeqSet>> {
    if cursor(c, run)?.is_none() {
        return Ok(None);
    }
    let mut query =
        c.prepare_cached("SELECT chunk, bits FROM bitmaps WHERE run_id = ?1 AND job_group = ?2 AND kind = ?3")?;
    let mut rows = query.query(params![run.as_str(), group, kind as i64])?;
    let mut set = SeqSet::default();
    while let Some(row) = rows.next()? {
        let bits: Vec<u8> = row.get(1)?;
        set.insert_msb_bytes(unsigned(row, 0)? * CHUNK_SEQS, &bits);
    }
    Ok(Some(set))
}

pub(super) fn cursor(c: &Connection, run: &RunId) -> rusqlite::Result<Option<u64>> {
    let cursor = |row: &Row<'_>| unsigned(row, 0);
    c.prepare_cached("SELECT cursor FROM runs WHERE run_id = ?1")?.query_row([run.as_str()], cursor).optional()
}

//! The snapshot: all numbers of a run within one transaction, so processed + dead ≤ enqueued in every one (L1).

use std::collections::BTreeMap;

use paceline_core::ids::RunId;
use paceline_core::run::{RunRecord, Snapshot};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::rows;
use super::schema::unsigned;
use super::windows::{ENQUEUED, in_window};

/// `None` for an unknown run.
pub(super) fn read(c: &Connection, run: &RunId, group: &str, now_ms: i64) -> rusqlite::Result<Option<Snapshot>> {
    let Some(record) = rows::find(c, run)? else { return Ok(None) };
    let [processed, dead, duplicates] = counts(c, run, group)?;
    Ok(Some(Snapshot {
        enqueued: record.cursor,
        published: number(c, "SELECT published FROM runs WHERE run_id = ?1", run)?,
        processed,
        dead,
        duplicates,
        ranges_outstanding: ranges_outstanding(c, run)?,
        enqueued_in_window: in_window(c, run, ENQUEUED, now_ms)?,
        processed_in_window: in_window(c, run, group, now_ms)?,
        workers: by_name(
            c,
            "SELECT worker, processed FROM worker_counts WHERE run_id = ?1 AND job_group = ?2",
            params![run.as_str(), group],
        )?,
        producers: by_name(c, "SELECT producer, published FROM producers WHERE run_id = ?1", params![run.as_str()])?,
        read_at_ms: now_ms,
        record,
    }))
}

/// Everything reserved is published, and everything published has ended in each of the run's groups.
pub(super) fn is_drained(c: &Connection, record: &RunRecord) -> rusqlite::Result<bool> {
    let run = &record.spec.run_id;
    if ranges_outstanding(c, run)? > 0 {
        return Ok(false);
    }
    for group in record.spec.groups.iter() {
        let [processed, dead, _] = counts(c, run, group)?;
        if processed + dead < record.cursor {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Processed, dead and duplicates.
fn counts(c: &Connection, run: &RunId, group: &str) -> rusqlite::Result<[u64; 3]> {
    let counts = |row: &Row<'_>| Ok([unsigned(row, 0)?, unsigned(row, 1)?, unsigned(row, 2)?]);
    let query = "SELECT processed, dead, duplicates FROM counts WHERE run_id = ?1 AND job_group = ?2";
    Ok(c.prepare_cached(query)?.query_row([run.as_str(), group], counts).optional()?.unwrap_or_default())
}

fn ranges_outstanding(c: &Connection, run: &RunId) -> rusqlite::Result<u64> {
    number(c, "SELECT count(*) FROM outstanding WHERE run_id = ?1", run)
}

fn number(c: &Connection, query: &str, run: &RunId) -> rusqlite::Result<u64> {
    c.prepare_cached(query)?.query_row([run.as_str()], |row| unsigned(row, 0))
}

fn by_name(c: &Connection, query: &str, values: impl rusqlite::Params) -> rusqlite::Result<BTreeMap<String, u64>> {
    c.prepare_cached(query)?.query_map(values, |row| Ok((row.get(0)?, unsigned(row, 1)?)))?.collect()
}

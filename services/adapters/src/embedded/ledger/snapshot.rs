//! The snapshot: all numbers of a run within one transaction, so processed + dead ≤ enqueued in every one (L1).

use std::collections::BTreeMap;

use paceline_core::ids::RunId;
use paceline_core::run::{RATE_WINDOW_S, RunRecord, Snapshot};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::runs;
use super::schema::{signed, unsigned};

/// The window of what is reserved; no group has an empty name.
pub(super) const ENQUEUED: &str = "";
/// Slots of a window's ring: more than its seconds, so that none is overwritten while it counts.
const WINDOW_SLOTS: i64 = 16;

/// `None` for an unknown run.
pub(super) fn read(c: &Connection, run: &RunId, group: &str, now_ms: i64) -> rusqlite::Result<Option<Snapshot>> {
    let Some(record) = runs::find(c, run)? else { return Ok(None) };
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

/// Adds to the slot of this second; a slot of an older second starts again.
pub(super) fn count_in_window(
    c: &Connection,
    run: &RunId,
    group: &str,
    now_ms: i64,
    jobs: u64,
) -> rusqlite::Result<()> {
    let second = now_ms.div_euclid(1000);
    let upsert = "INSERT INTO windows VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO UPDATE SET
                  jobs = excluded.jobs + iif(second = excluded.second, jobs, 0), second = excluded.second";
    let values = params![run.as_str(), group, second.rem_euclid(WINDOW_SLOTS), second, signed(jobs)];
    c.prepare_cached(upsert)?.execute(values).map(drop)
}

fn in_window(c: &Connection, run: &RunId, group: &str, now_ms: i64) -> rusqlite::Result<u64> {
    let second = now_ms.div_euclid(1000);
    let query = "SELECT coalesce(sum(jobs), 0) FROM windows WHERE run_id = ?1 AND job_group = ?2 AND second >= ?3 AND second < ?4";
    let values = params![run.as_str(), group, second - RATE_WINDOW_S, second];
    c.prepare_cached(query)?.query_row(values, |row| unsigned(row, 0))
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

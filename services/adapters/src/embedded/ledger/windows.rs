//! The windows of the achieved rates: jobs by second, in a ring of slots.

use paceline_core::ids::RunId;
use paceline_core::run::RATE_WINDOW_S;
use rusqlite::{Connection, params};

use super::schema::{signed, unsigned};

/// The window of what is reserved; no group has an empty name.
pub(super) const ENQUEUED: &str = "";
/// Slots of a window's ring: more than its seconds, so that none is overwritten while it counts.
const WINDOW_SLOTS: i64 = 16;

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

pub(super) fn in_window(c: &Connection, run: &RunId, group: &str, now_ms: i64) -> rusqlite::Result<u64> {
    let second = now_ms.div_euclid(1000);
    let query = "SELECT coalesce(sum(jobs), 0) FROM windows WHERE run_id = ?1 AND job_group = ?2 AND second >= ?3 AND second < ?4";
    let values = params![run.as_str(), group, second - RATE_WINDOW_S, second];
    c.prepare_cached(query)?.query_row(values, |row| unsigned(row, 0))
}

//! The tables, and how numbers and JSON go into them and come out.

use std::time::Duration;

use paceline_core::error::codes;
use paceline_core::{Error, Result};
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ValueRef};
use rusqlite::{Row, RowIndex};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A run's payload may be large and never changes, so specs stay apart from what every step writes.
/// `windows` holds the jobs of the last seconds in a ring: group '' counts what is reserved, a group what it processed.
pub(super) const TABLES: &str = "
CREATE TABLE IF NOT EXISTS runs (
    run_id TEXT PRIMARY KEY, state TEXT NOT NULL, revision INTEGER NOT NULL, total INTEGER, cursor INTEGER NOT NULL,
    published INTEGER NOT NULL, pacing TEXT NOT NULL, owner TEXT NOT NULL, epoch INTEGER NOT NULL,
    lease_until_ms INTEGER NOT NULL, ended_at_ms INTEGER, failure TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS runs_active ON runs (run_id) WHERE ended_at_ms IS NULL;
CREATE TABLE IF NOT EXISTS specs (run_id TEXT PRIMARY KEY, spec TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS requests (request_id TEXT PRIMARY KEY, run_id TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS outstanding (
    run_id TEXT NOT NULL, first INTEGER NOT NULL, count INTEGER NOT NULL, scheduled_at_ms INTEGER NOT NULL,
    PRIMARY KEY (run_id, first)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS producers (
    run_id TEXT NOT NULL, producer TEXT NOT NULL, published INTEGER NOT NULL, PRIMARY KEY (run_id, producer)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS counts (
    run_id TEXT NOT NULL, job_group TEXT NOT NULL, processed INTEGER NOT NULL, dead INTEGER NOT NULL, duplicates INTEGER NOT NULL,
    PRIMARY KEY (run_id, job_group)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS worker_counts (
    run_id TEXT NOT NULL, job_group TEXT NOT NULL, worker TEXT NOT NULL, processed INTEGER NOT NULL,
    PRIMARY KEY (run_id, job_group, worker)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS windows (
    run_id TEXT NOT NULL, job_group TEXT NOT NULL, slot INTEGER NOT NULL, second INTEGER NOT NULL, jobs INTEGER NOT NULL,
    PRIMARY KEY (run_id, job_group, slot)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS bitmaps (
    run_id TEXT NOT NULL, job_group TEXT NOT NULL, kind INTEGER NOT NULL, chunk INTEGER NOT NULL, bits BLOB NOT NULL,
    PRIMARY KEY (run_id, job_group, kind, chunk)
) STRICT;
CREATE TABLE IF NOT EXISTS workers (worker_id TEXT PRIMARY KEY, info TEXT NOT NULL, until_ms INTEGER NOT NULL) STRICT;
";

/// Runs at opening.
pub(super) const VOID_LEASES: &str = "UPDATE runs SET owner = '', lease_until_ms = 0 WHERE owner <> '';";

/// Runs at opening, when the table of the runs is there. A file from before there was this list has its ends on it from now on. In one
/// transaction, or a crash would leave an empty list that looks whole.
pub(super) const UNKEPT: &str = "
BEGIN IMMEDIATE;
CREATE TEMP TABLE lists AS SELECT count(*) AS found FROM sqlite_master WHERE type = 'table' AND name = 'unkept';
CREATE TABLE IF NOT EXISTS unkept (run_id TEXT PRIMARY KEY, revision INTEGER NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO unkept SELECT run_id, revision FROM runs, lists WHERE found = 0 AND ended_at_ms IS NOT NULL;
DROP TABLE lists;
COMMIT;
";

pub(super) const PROTOCOL: &str = "CREATE TABLE IF NOT EXISTS protocol (only INTEGER PRIMARY KEY CHECK (only = 1), number INTEGER NOT NULL) STRICT;\n";

/// A value that is stored as JSON.
pub(super) struct Json<T>(pub(super) T);

impl<T: DeserializeOwned> FromSql for Json<T> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        serde_json::from_str(value.as_str()?).map(Self).map_err(|e| FromSqlError::Other(Box::new(e)))
    }
}

pub(super) fn to_json<T: Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value)
        .map_err(|e| Error::internal(format!("cannot write to the ledger: {e}")).coded(codes::LEDGER_DATA_UNREADABLE))
}

/// SQLite's integers have a sign; no number of ours comes near its limit.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn unsigned<I: RowIndex + Copy>(row: &Row<'_>, index: I) -> rusqlite::Result<u64> {
    let number: i64 = row.get(index)?;
    u64::try_from(number).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(0, number))
}

/// The end of a ttl that begins now.
pub(super) fn after(now_ms: i64, ttl: Duration) -> i64 {
    now_ms.saturating_add(i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX))
}

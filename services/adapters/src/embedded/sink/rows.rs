//! The sink's table and the statements over it. Statements are prepared once and kept by the connection.

use std::ops::Range;

use paceline_core::document::{Document, Status};
use paceline_core::error::codes;
use paceline_core::ids::{JobId, RunId};
use paceline_core::ports::documents::{JOB_ID_BYTES_MAX, StoredId};
use paceline_core::{Error, Result};
use rusqlite::{Connection, OptionalExtension, Row, params};

/// `foreign_id` is empty where the job id is `<run>-<seq>`. A run's text is kept once, in `runs`.
///
/// `listing` holds what `ids` and `count` need, so that they do not read the bodies.
pub const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS runs (run INTEGER PRIMARY KEY, run_id TEXT NOT NULL UNIQUE) STRICT;
    CREATE TABLE IF NOT EXISTS documents (
        run INTEGER NOT NULL,
        seq INTEGER NOT NULL CHECK (seq >= 0),
        foreign_id TEXT NOT NULL CHECK (octet_length(foreign_id) <= 512),
        status INTEGER NOT NULL,
        attempts INTEGER NOT NULL,
        body TEXT NOT NULL,
        PRIMARY KEY (run, seq, foreign_id)
    ) STRICT, WITHOUT ROWID;
    CREATE UNIQUE INDEX IF NOT EXISTS foreign_ids ON documents (run, foreign_id) WHERE foreign_id <> '';
    CREATE INDEX IF NOT EXISTS listing ON documents (run, seq, status);
";

/// Both conflicts mean the same document: by its place, or, for a foreign id that changed its seq, by its id.
const UPSERT: &str = "
    INSERT INTO documents (run, seq, foreign_id, status, attempts, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
    ON CONFLICT (run, seq, foreign_id) DO UPDATE
        SET status = excluded.status, attempts = excluded.attempts, body = excluded.body
        WHERE excluded.attempts > attempts
    ON CONFLICT (run, foreign_id) WHERE foreign_id <> '' DO UPDATE
        SET seq = excluded.seq, status = excluded.status, attempts = excluded.attempts, body = excluded.body
        WHERE excluded.attempts > attempts";

const COUNT: &str = "SELECT count(*) FROM documents INDEXED BY listing WHERE run = ?1 AND status = ?2";

/// Within one seq the order is by job id, as a reader sees it. `?3` is the seq to begin with, `?4` the job id of that seq to pass.
const IDS: &str = "
    SELECT seq, status, CASE foreign_id WHEN '' THEN ?2 || '-' || seq ELSE foreign_id END AS job_id
    FROM documents INDEXED BY listing
    WHERE run = ?1 AND seq >= ?3 AND (seq > ?3 OR job_id > ?4)
    ORDER BY seq, job_id LIMIT ?5";

/// A document is found by its run and one of the two that follow.
const PLACE: &str = "run = (SELECT run FROM runs WHERE run_id = ?1) AND";
const BY_SEQ: &str = "seq = ?2 AND foreign_id = ''";
/// Repeats the condition of the partial index, else SQLite does not use it.
const BY_FOREIGN_ID: &str = "foreign_id = ?2 AND foreign_id <> ''";

// The constants of the port and of the schema are one rule.
const _: () = assert!(JOB_ID_BYTES_MAX == 512);

/// The key of a document's row: its run, and its seq or its foreign id.
pub struct Key {
    run: RunId,
    name: Name,
}

enum Name {
    Seq(i64),
    Foreign(String),
}

impl Key {
    pub fn new(run: &RunId, job_id: &str) -> Self {
        let own = JobId::parse(job_id).filter(|id| id.run == *run);
        let name = match own.and_then(|id| i64::try_from(id.seq).ok()) {
            Some(seq) => Name::Seq(seq),
            None => Name::Foreign(job_id.into()),
        };
        Self { run: run.clone(), name }
    }
}

/// Documents on their way to the writer's thread: encoded by the caller, all bodies in one buffer.
#[derive(Default)]
pub struct RowBatch {
    rows: Vec<Encoded>,
    bodies: Vec<u8>,
}

struct Encoded {
    run: RunId,
    seq: i64,
    foreign_id: Option<String>,
    status: Status,
    attempts: u32,
    body: Range<usize>,
}

impl RowBatch {
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Takes a document that the port does not refuse.
    pub fn push(&mut self, document: &Document) -> Result<()> {
        let start = self.bodies.len();
        let failed = |e: String| {
            Error::internal(format!("the document {} cannot be encoded: {e}", document.job_id))
                .coded(codes::STORED_DATA_UNREADABLE)
        };
        serde_json::to_writer(&mut self.bodies, document).map_err(|e| failed(e.to_string()))?;
        let Key { run, name } = Key::new(&document.run_id, &document.job_id);
        let seq = i64::try_from(document.seq).map_err(|e| failed(e.to_string()))?;
        self.rows.push(Encoded {
            run,
            seq,
            foreign_id: if let Name::Foreign(job_id) = name { Some(job_id) } else { None },
            status: document.status,
            attempts: document.attempts,
            body: start..self.bodies.len(),
        });
        Ok(())
    }

    /// Stores all, in order, inside the caller's transaction.
    pub fn store(&self, connection: &Connection) -> rusqlite::Result<()> {
        let mut upsert = connection.prepare_cached(UPSERT)?;
        let mut known: Option<(&RunId, i64)> = None;
        for row in &self.rows {
            let run = match known {
                Some((run_id, run)) if *run_id == row.run => run,
                _ => run_number(connection, &row.run)?,
            };
            known = Some((&row.run, run));
            let body = str::from_utf8(&self.bodies[row.body.clone()])?;
            let foreign_id = row.foreign_id.as_deref().unwrap_or_default();
            upsert.execute(params![run, row.seq, foreign_id, code(row.status), row.attempts, body])?;
        }
        Ok(())
    }
}

pub fn count(connection: &Connection, run: &RunId, status: Status) -> rusqlite::Result<u64> {
    let Some(run) = find_run(connection, run)? else { return Ok(0) };
    connection.prepare_cached(COUNT)?.query_row(params![run, code(status)], |row| unsigned(row, 0))
}

pub fn ids(
    connection: &Connection,
    run_id: &RunId,
    after: Option<&StoredId>,
    limit: usize,
) -> rusqlite::Result<Vec<StoredId>> {
    let Some(run) = find_run(connection, run_id)? else { return Ok(Vec::new()) };
    // No job id is empty, so an empty one passes nothing.
    let (seq, passed) = after.map_or((0, ""), |id| (i64::try_from(id.seq).unwrap_or(i64::MAX), id.job_id.as_str()));
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut statement = connection.prepare_cached(IDS)?;
    statement.query_map(params![run, run_id.as_str(), seq, passed, limit], stored_id)?.collect()
}

pub fn get(connection: &Connection, key: &Key) -> rusqlite::Result<Option<String>> {
    let run = key.run.as_str();
    let body = |row: &Row<'_>| row.get(0);
    let select = |found_by: &str| format!("SELECT body FROM documents WHERE {PLACE} {found_by}");
    match &key.name {
        Name::Seq(seq) => connection.prepare_cached(&select(BY_SEQ))?.query_row(params![run, seq], body).optional(),
        Name::Foreign(id) => {
            connection.prepare_cached(&select(BY_FOREIGN_ID))?.query_row(params![run, id], body).optional()
        }
    }
}

pub fn delete(connection: &Connection, key: &Key) -> rusqlite::Result<bool> {
    let run = key.run.as_str();
    let delete = |found_by: &str| format!("DELETE FROM documents WHERE {PLACE} {found_by}");
    let removed = match &key.name {
        Name::Seq(seq) => connection.prepare_cached(&delete(BY_SEQ))?.execute(params![run, seq])?,
        Name::Foreign(id) => connection.prepare_cached(&delete(BY_FOREIGN_ID))?.execute(params![run, id])?,
    };
    Ok(removed > 0)
}

fn stored_id(row: &Row<'_>) -> rusqlite::Result<StoredId> {
    Ok(StoredId { seq: unsigned(row, 0)?, status: status(row.get(1)?)?, job_id: row.get(2)? })
}

/// The schema admits no negative seq, and a count is none.
fn unsigned(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get(column).map(i64::unsigned_abs)
}

fn find_run(connection: &Connection, run: &RunId) -> rusqlite::Result<Option<i64>> {
    let mut select = connection.prepare_cached("SELECT run FROM runs WHERE run_id = ?1")?;
    select.query_row([run.as_str()], |row| row.get(0)).optional()
}

/// The run's number, given at its first document.
fn run_number(connection: &Connection, run: &RunId) -> rusqlite::Result<i64> {
    if let Some(number) = find_run(connection, run)? {
        return Ok(number);
    }
    connection.prepare_cached("INSERT INTO runs (run_id) VALUES (?1)")?.insert([run.as_str()])
}

fn code(status: Status) -> i64 {
    match status {
        Status::Completed => 0,
        Status::Dead => 1,
    }
}

fn status(code: i64) -> rusqlite::Result<Status> {
    match code {
        0 => Ok(Status::Completed),
        1 => Ok(Status::Dead),
        other => Err(rusqlite::Error::IntegralValueOutOfRange(1, other)),
    }
}

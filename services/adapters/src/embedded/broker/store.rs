//! The tables and every statement on them. A queue has its own table of ready messages, so that taking the next page and
//! deleting what is done are ranges of one primary key.

use paceline_core::ports::broker::Message;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, OptionalExtension as _, Row, params, params_from_iter};

use crate::embedded::database::WriteError;

pub const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS queues (
        id INTEGER PRIMARY KEY, queue TEXT NOT NULL, consumer_group TEXT NOT NULL, UNIQUE (queue, consumer_group)) STRICT;
    CREATE TABLE IF NOT EXISTS delayed (
        id INTEGER PRIMARY KEY, queue INTEGER NOT NULL, due_ms INTEGER NOT NULL,
        message_id TEXT NOT NULL, handler TEXT NOT NULL, run TEXT NOT NULL, seq INTEGER, attempt INTEGER NOT NULL,
        timestamp_ms INTEGER NOT NULL, traceparent TEXT, body BLOB NOT NULL) STRICT;
    CREATE INDEX IF NOT EXISTS delayed_due ON delayed (due_ms);
    CREATE TABLE IF NOT EXISTS dead (
        id INTEGER PRIMARY KEY, queue INTEGER NOT NULL, reason TEXT NOT NULL,
        message_id TEXT NOT NULL, handler TEXT NOT NULL, run TEXT NOT NULL, seq INTEGER, attempt INTEGER NOT NULL,
        timestamp_ms INTEGER NOT NULL, traceparent TEXT, body BLOB NOT NULL) STRICT;
    CREATE INDEX IF NOT EXISTS dead_queue ON dead (queue);";

const COLUMNS: &str = "message_id, handler, run, seq, attempt, timestamp_ms, traceparent, body";

/// A ready message as it is kept.
pub struct Stored {
    pub id: i64,
    pub redeliveries: u32,
    pub message: Message,
}

/// The queue's number; its table of ready messages is made with it.
pub fn declare(connection: &Connection, queue: &str, group: &str) -> Result<i64, WriteError> {
    let insert = "INSERT INTO queues (queue, consumer_group) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
    connection.execute(insert, params![queue, group])?;
    let number = number(connection, queue, group)?.expect("it was just inserted");
    connection.execute_batch(&format!(
        "CREATE TABLE IF NOT EXISTS ready_{number} (
            id INTEGER PRIMARY KEY, redeliveries INTEGER NOT NULL,
            message_id TEXT NOT NULL, handler TEXT NOT NULL, run TEXT NOT NULL, seq INTEGER, attempt INTEGER NOT NULL,
            timestamp_ms INTEGER NOT NULL, traceparent TEXT, body BLOB NOT NULL) STRICT"
    ))?;
    Ok(number)
}

pub fn number(connection: &Connection, queue: &str, group: &str) -> rusqlite::Result<Option<i64>> {
    let select = "SELECT id FROM queues WHERE queue = ?1 AND consumer_group = ?2";
    connection.query_row(select, params![queue, group], |row| row.get(0)).optional()
}

/// Every queue that was ever declared: (queue, group, number).
pub fn declared(connection: &Connection) -> rusqlite::Result<Vec<(String, String, i64)>> {
    let mut select = connection.prepare("SELECT queue, consumer_group, id FROM queues")?;
    select.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?.collect()
}

/// (highest id, number of messages) of the ready table.
pub fn extent(connection: &Connection, queue: i64) -> rusqlite::Result<(i64, i64)> {
    let select = format!("SELECT coalesce(max(id), 0), count(*) FROM ready_{queue}");
    connection.query_row(&select, [], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// Appends to the ready table; `first_id` and the following ones must be higher than any before.
pub fn append<'a>(
    connection: &Connection,
    queue: i64,
    first_id: i64,
    messages: impl IntoIterator<Item = &'a Message>,
) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(&format!(
        "INSERT INTO ready_{queue} (id, redeliveries, {COLUMNS}) VALUES (?1, 0, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"
    ))?;
    for (id, message) in (first_id..).zip(messages) {
        insert.execute(params_from_iter([id.into()].into_iter().chain(columns(message))))?;
    }
    Ok(())
}

/// Up to `limit` ready messages above `after`, in order.
pub fn page(connection: &Connection, queue: i64, after: i64, limit: usize) -> rusqlite::Result<Vec<Stored>> {
    let mut select = connection.prepare_cached(&format!(
        "SELECT {COLUMNS}, id, redeliveries FROM ready_{queue} WHERE id > ?1 ORDER BY id LIMIT ?2"
    ))?;
    let stored = |row: &Row<'_>| Ok(Stored { message: message(row)?, id: row.get(8)?, redeliveries: row.get(9)? });
    select.query_map(params![after, limit as i64], stored)?.collect()
}

/// Deletes ready messages; neighbours in `ids` (sorted) share a statement.
pub fn delete(connection: &Connection, queue: i64, ids: &[i64]) -> rusqlite::Result<()> {
    let mut delete = connection.prepare_cached(&format!("DELETE FROM ready_{queue} WHERE id BETWEEN ?1 AND ?2"))?;
    let mut rest = ids;
    while let Some(first) = rest.first() {
        let run = rest.iter().zip(*first..).take_while(|(id, expected)| **id == *expected).count();
        delete.execute(params![first, first + run as i64 - 1])?;
        rest = &rest[run..];
    }
    Ok(())
}

pub fn delete_above(connection: &Connection, queue: i64, id: i64) -> rusqlite::Result<usize> {
    connection.execute(&format!("DELETE FROM ready_{queue} WHERE id > ?1"), [id])
}

pub fn count_redelivery(connection: &Connection, queue: i64, ids: &[i64]) -> rusqlite::Result<()> {
    let mut update = connection
        .prepare_cached(&format!("UPDATE ready_{queue} SET redeliveries = redeliveries + 1 WHERE id = ?1"))?;
    ids.iter().try_for_each(|id| update.execute([id]).map(drop))
}

pub fn delay(connection: &Connection, queue: i64, due_ms: i64, m: &Message) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(&format!(
        "INSERT INTO delayed (queue, due_ms, {COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)"
    ))?;
    insert.execute(params_from_iter([queue.into(), due_ms.into()].into_iter().chain(columns(m)))).map(drop)
}

/// When the next delayed message is due, of any queue.
pub fn next_due_ms(connection: &Connection) -> rusqlite::Result<Option<i64>> {
    connection.query_row("SELECT min(due_ms) FROM delayed", [], |row| row.get(0))
}

/// Takes up to `limit` messages of a queue that are due.
pub fn take_due(connection: &Connection, queue: i64, now_ms: i64, limit: usize) -> rusqlite::Result<Vec<Message>> {
    let mut take = connection.prepare_cached(&format!(
        "DELETE FROM delayed WHERE id IN (SELECT id FROM delayed WHERE queue = ?1 AND due_ms <= ?2 ORDER BY due_ms, id LIMIT ?3) RETURNING {COLUMNS}"
    ))?;
    take.query_map(params![queue, now_ms, limit as i64], message)?.collect()
}

pub fn bury(connection: &Connection, queue: i64, reason: &str, m: &Message) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(&format!(
        "INSERT INTO dead (queue, reason, {COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)"
    ))?;
    insert.execute(params_from_iter([queue.into(), text(reason)].into_iter().chain(columns(m)))).map(drop)
}

pub fn dead(connection: &Connection, queue: i64, limit: usize) -> rusqlite::Result<Vec<(Message, String)>> {
    let mut select = connection
        .prepare_cached(&format!("SELECT {COLUMNS}, reason FROM dead WHERE queue = ?1 ORDER BY id LIMIT ?2"))?;
    select.query_map(params![queue, limit as i64], |row| Ok((message(row)?, row.get(8)?)))?.collect()
}

/// (delayed, dead) of a queue.
pub fn counts(connection: &Connection, queue: i64) -> rusqlite::Result<(i64, i64)> {
    let select = "SELECT (SELECT count(*) FROM delayed WHERE queue = ?1), (SELECT count(*) FROM dead WHERE queue = ?1)";
    connection.query_row(select, [queue], |row| Ok((row.get(0)?, row.get(1)?)))
}

const NULL: ToSqlOutput<'static> = ToSqlOutput::Borrowed(ValueRef::Null);

/// The values of [`COLUMNS`].
fn columns(message: &Message) -> [ToSqlOutput<'_>; 8] {
    [
        text(&message.id),
        text(&message.handler),
        text(&message.run),
        message.seq.map_or(NULL, |seq| ToSqlOutput::from(seq as i64)),
        message.attempt.into(),
        message.timestamp_ms.into(),
        message.traceparent.as_deref().map_or(NULL, text),
        ToSqlOutput::Borrowed(ValueRef::Blob(&message.body)),
    ]
}

fn text(text: &str) -> ToSqlOutput<'_> {
    ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes()))
}

fn message(row: &Row<'_>) -> rusqlite::Result<Message> {
    let seq: Option<i64> = row.get(3)?;
    Ok(Message {
        id: row.get(0)?,
        handler: row.get::<_, String>(1)?.into(),
        run: row.get::<_, String>(2)?.into(),
        seq: seq.map(|seq| seq as u64),
        attempt: row.get(4)?,
        timestamp_ms: row.get(5)?,
        traceparent: row.get(6)?,
        body: row.get::<_, Vec<u8>>(7)?.into(),
    })
}

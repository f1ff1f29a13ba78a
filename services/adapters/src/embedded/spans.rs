//! The spans of the last traces in one SQLite file, for `paceline dev` and `paceline trace`. Nothing waits for it to be on disk: a crash
//! costs the last of them.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use paceline_core::error::codes;
use paceline_core::ports::{SpanKeeper, SpanReader};
use paceline_core::trace::TraceId;
use paceline_core::trace::span::Span;
use paceline_core::{Error, Result};
use rusqlite::{Connection, OpenFlags, params};

/// The file in the data folder.
pub const FILE: &str = "traces.db";
/// The most spans that are kept, some 30 MB of them: the oldest go first.
const SPANS_MAX: i64 = 50_000;
const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS span (number INTEGER PRIMARY KEY AUTOINCREMENT, trace TEXT NOT NULL, body TEXT NOT NULL) STRICT;
    CREATE INDEX IF NOT EXISTS span_trace ON span (trace);";

/// A cheap handle.
#[derive(Clone)]
pub struct EmbeddedSpans {
    connection: Arc<Mutex<Connection>>,
    path: PathBuf,
    spans_max: i64,
}

impl EmbeddedSpans {
    /// Opens the spans of `folder` for writing; the folder is made if need be.
    pub fn open(folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder).map_err(|e| {
            Error::unavailable(format!("cannot make the data folder {}: {e}", folder.display()))
                .coded(codes::DATA_FOLDER_UNUSABLE)
        })?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
        let spans = Self::connect(&folder.join(FILE), flags)?;
        let prepare = |connection: &Connection| {
            connection.pragma_update(None, "journal_mode", "WAL")?;
            connection.pragma_update(None, "synchronous", "OFF")?;
            connection.execute_batch(SCHEMA)
        };
        prepare(&spans.lock()).map_err(|e| failed(&spans.path, &e))?;
        Ok(spans)
    }

    /// Opens the spans of `folder` for reading, beside the process that writes; `NotFound` where nobody has written.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(FILE);
        if !path.is_file() {
            return Err(Error::not_found(format!("no traces in {}", folder.display())).coded(codes::TRACE_NOT_FOUND));
        }
        Self::connect(&path, OpenFlags::SQLITE_OPEN_READ_ONLY)
    }

    fn connect(path: &Path, flags: OpenFlags) -> Result<Self> {
        let connection = Connection::open_with_flags(path, flags).map_err(|e| failed(path, &e))?;
        let wait = std::time::Duration::from_secs(2);
        connection.busy_timeout(wait).map_err(|e| failed(path, &e))?;
        Ok(Self { connection: Arc::new(Mutex::new(connection)), path: path.to_owned(), spans_max: SPANS_MAX })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Connection> {
        self.connection.lock().expect("no code panics while it holds the file")
    }

    /// Off the runtime's threads, which a disk would hold up.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection, i64) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T> {
        let (spans, path) = (self.clone(), self.path.clone());
        let done = tokio::task::spawn_blocking(move || work(&spans.lock(), spans.spans_max)).await;
        done.map_err(|e| Error::internal(format!("the file of traces: {e}")))?.map_err(|e| failed(&path, &e))
    }
}

fn failed(path: &Path, error: &rusqlite::Error) -> Error {
    Error::unavailable(format!("{}: {error}", path.display())).coded(codes::TRACES_UNAVAILABLE)
}

fn unreadable(error: serde_json::Error) -> Error {
    Error::internal(format!("a span that cannot be read or written: {error}")).coded(codes::STORED_DATA_UNREADABLE)
}

#[async_trait]
impl SpanKeeper for EmbeddedSpans {
    async fn keep(&self, spans: Vec<Span>) -> Result<()> {
        let bodies = spans.iter().map(|span| Ok((span.trace.to_string(), serde_json::to_string(span)?)));
        let bodies: Vec<_> = bodies.collect::<serde_json::Result<_>>().map_err(unreadable)?;
        let keep = move |connection: &Connection, spans_max: i64| {
            let change = connection.unchecked_transaction()?;
            let mut insert = change.prepare_cached("INSERT INTO span (trace, body) VALUES (?, ?)")?;
            bodies.iter().try_for_each(|(trace, body)| insert.execute(params![trace, body]).map(drop))?;
            drop(insert);
            change.execute("DELETE FROM span WHERE number <= (SELECT MAX(number) FROM span) - ?", [spans_max])?;
            change.commit()
        };
        self.run(keep).await
    }
}

#[async_trait]
impl SpanReader for EmbeddedSpans {
    async fn trace(&self, trace: TraceId) -> Result<Vec<Span>> {
        let read = move |connection: &Connection, _| {
            let mut query = connection.prepare("SELECT body FROM span WHERE trace = ? ORDER BY number")?;
            query.query_map([trace.to_string()], |row| row.get::<_, String>(0))?.collect::<rusqlite::Result<Vec<_>>>()
        };
        let bodies = self.run(read).await?;
        let spans = bodies.iter().map(|body| serde_json::from_str(body));
        spans.collect::<serde_json::Result<_>>().map_err(unreadable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spans(trace: u128, count: usize) -> Vec<Span> {
        let span =
            || Span::new(TraceId(trace), None, "job", (1, 5)).text("who", "me").int("n", 7).error(Some("why".into()));
        (0..count).map(|_| span()).collect()
    }

    #[tokio::test]
    async fn a_trace_reads_back_in_another_process_and_an_unknown_one_is_empty() {
        let folder = tempfile::tempdir().unwrap();
        assert!(EmbeddedSpans::read(folder.path()).is_err_and(|error| error.message.contains("no traces")));
        let written = spans(3, 2);
        let (writer, reader) =
            (EmbeddedSpans::open(folder.path()).unwrap(), EmbeddedSpans::read(folder.path()).unwrap());
        writer.keep(written.clone()).await.unwrap();
        writer.keep(spans(4, 1)).await.unwrap();
        assert_eq!(reader.trace(TraceId(3)).await.unwrap(), written);
        assert_eq!(reader.trace(TraceId(5)).await.unwrap(), []);
    }

    #[tokio::test]
    async fn the_oldest_go_first() {
        let folder = tempfile::tempdir().unwrap();
        let spans_max = 10;
        let store = EmbeddedSpans { spans_max, ..EmbeddedSpans::open(folder.path()).unwrap() };
        for trace in 1..=20 {
            store.keep(spans(trace, 1)).await.unwrap();
        }
        assert_eq!(store.trace(TraceId(10)).await.unwrap().len(), 0);
        assert_eq!(store.trace(TraceId(11)).await.unwrap().len(), 1);
    }
}

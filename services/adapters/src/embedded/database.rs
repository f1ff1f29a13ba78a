//! One SQLite file with one writer thread: many callers' changes share a transaction, so they share its fsync (group commit).
//!
//! An answer is given only after the commit: what is answered survives `kill -9` and, by `synchronous = FULL`, a power cut.
//! The folder belongs to one process at a time; a lock file says so in words before two could disagree.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::thread;

use paceline_core::error::codes;
use paceline_core::{Error, Result};
use rusqlite::{Connection, OpenFlags};
use tokio::sync::oneshot;

/// The most changes that share one transaction: bounds how long the first one waits for its answer.
const GROUP_MAX: usize = 256;
/// The most changes that wait for the writer; a caller beyond it waits in `write`, asynchronously.
const QUEUE_MAX: usize = 4096;

type Write = Box<dyn FnOnce(&Connection) -> Commit + Send>;
type Read = Box<dyn FnOnce(&Connection) + Send>;
/// Answers one caller; told whether the transaction was committed.
type Commit = Box<dyn FnOnce(Result<()>)>;

/// A cheap handle; the file closes when the last one is dropped.
#[derive(Clone)]
pub struct Database {
    inner: Arc<Inner>,
}

struct Inner {
    writes: tokio::sync::mpsc::Sender<Write>,
    reads: mpsc::Sender<Read>,
    path: PathBuf,
}

impl Database {
    /// Opens or makes `folder/name`, runs `schema` (idempotent SQL) and starts the two threads.
    pub fn open(folder: &Path, name: &str, schema: &str) -> Result<Self> {
        std::fs::create_dir_all(folder).map_err(|e| {
            Error::unavailable(format!("cannot make the data folder {}: {e}", folder.display()))
                .coded(codes::DATA_FOLDER_UNUSABLE)
        })?;
        let path = folder.join(name);
        let lock = lock(&path)?;
        let writer = connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)?;
        writer.execute_batch(schema).map_err(|e| failed(&path, e))?;
        let reader = connect(&path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;

        let (writes, write_queue) = tokio::sync::mpsc::channel(QUEUE_MAX);
        let (reads, read_queue) = mpsc::channel();
        let label = path.clone();
        thread::Builder::new()
            .name(format!("{name}-write"))
            .spawn(move || write_loop(&writer, &label, write_queue, lock))
            .and_then(|_| {
                thread::Builder::new().name(format!("{name}-read")).spawn(move || read_loop(&reader, read_queue))
            })
            .map_err(|e| {
                Error::unavailable(format!("cannot start a thread for {}: {e}", path.display()))
                    .coded(codes::DATA_FOLDER_UNUSABLE)
            })?;
        Ok(Self { inner: Arc::new(Inner { writes, reads, path }) })
    }

    /// Runs `change` in a transaction, shared with what else is waiting, and answers after the commit. If `change` fails, its
    /// own effects are undone and nobody else's.
    pub async fn write<T: Send + 'static>(
        &self,
        change: impl FnOnce(&Connection) -> Result<T, WriteError> + Send + 'static,
    ) -> Result<T> {
        self.write_then(change, |outcome| outcome).await
    }

    /// As `write`; `after` runs right after the commit, in the order of the changes, before anybody is answered.
    pub async fn write_then<T: 'static, U: Send + 'static>(
        &self,
        change: impl FnOnce(&Connection) -> Result<T, WriteError> + Send + 'static,
        after: impl FnOnce(T) -> U + Send + 'static,
    ) -> Result<U> {
        let (answer, result) = oneshot::channel();
        let path = self.inner.path.clone();
        let write: Write = Box::new(move |connection| {
            let outcome = in_savepoint(connection, change).map_err(|e| e.into_error(&path));
            Box::new(move |committed| {
                // The caller may have gone; then nobody wants the answer.
                _ = answer.send(committed.and(outcome).map(after));
            })
        });
        self.inner.writes.send(write).await.map_err(|_| self.closed())?;
        result.await.map_err(|_| self.closed())?
    }

    /// Like [`Database::write`] for a caller that cannot wait: a drop. Lost when the queue of changes is full or the file closed.
    pub fn write_detached(&self, change: impl FnOnce(&Connection) -> Result<(), WriteError> + Send + 'static) {
        let path = self.inner.path.clone();
        let write: Write = Box::new(move |connection| {
            let outcome = in_savepoint(connection, change);
            Box::new(move |committed| {
                if let Err(error) = committed.and(outcome.map_err(|e| e.into_error(&path))) {
                    tracing::warn!(%error, "a change is lost");
                }
            })
        });
        if self.inner.writes.try_send(write).is_err() {
            tracing::warn!(path = %self.inner.path.display(), "a change is lost: the file is closed or busy");
        }
    }

    /// Runs `query` on the reading thread and `then` with its result there; does not wait.
    pub fn read_detached<T: 'static>(
        &self,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
        then: impl FnOnce(Result<T>) + Send + 'static,
    ) -> Result<()> {
        let path = self.inner.path.clone();
        let read: Read = Box::new(move |connection| then(query(connection).map_err(|e| failed(&path, e))));
        self.inner.reads.send(read).map_err(|_| self.closed())
    }

    /// Runs `query` on the reading connection, as of one moment.
    pub async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T> {
        let (answer, result) = oneshot::channel();
        let path = self.inner.path.clone();
        let read: Read = Box::new(move |connection| {
            let outcome = connection.unchecked_transaction().and_then(|_snapshot| query(connection));
            _ = answer.send(outcome.map_err(|e| failed(&path, e)));
        });
        self.inner.reads.send(read).map_err(|_| self.closed())?;
        result.await.map_err(|_| self.closed())?
    }

    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    fn closed(&self) -> Error {
        Error::unavailable(format!("the database {} is closed", self.inner.path.display()))
            .coded(codes::DATABASE_CLOSED)
    }
}

/// The reason for which a change did not happen: SQLite's, or a rule of the port.
#[derive(Debug)]
pub enum WriteError {
    Sqlite(rusqlite::Error),
    Refused(Error),
}

impl From<rusqlite::Error> for WriteError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<Error> for WriteError {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

impl WriteError {
    fn into_error(self, path: &Path) -> Error {
        match self {
            Self::Sqlite(error) => failed(path, error),
            Self::Refused(error) => error,
        }
    }
}

/// A disk that is full or a file that is busy may work later, and a file that must not be written once its folder is put right. Any
/// other error is a bug of Paceline.
fn failed(path: &Path, error: rusqlite::Error) -> Error {
    use rusqlite::ErrorCode::{
        CannotOpen, DatabaseBusy, DatabaseLocked, DiskFull, PermissionDenied, ReadOnly, SystemIoFailure,
    };
    let message = format!("{}: {error}", path.display());
    match error.sqlite_error_code() {
        Some(DiskFull | DatabaseBusy | DatabaseLocked | SystemIoFailure) => {
            Error::unavailable(message).coded(codes::DATABASE_BUSY)
        }
        Some(ReadOnly | CannotOpen | PermissionDenied) => {
            Error::unavailable(message).coded(codes::DATA_FOLDER_UNUSABLE)
        }
        _ => Error::internal(message).coded(codes::DATABASE_BROKEN),
    }
}

fn lock(path: &Path) -> Result<File> {
    let lock_path = path.with_extension("lock");
    let file = File::options().create(true).truncate(false).write(true).open(&lock_path);
    let file = file.map_err(|e| {
        Error::unavailable(format!("cannot open {}: {e}", lock_path.display())).coded(codes::DATA_FOLDER_UNUSABLE)
    })?;
    file.try_lock().map_err(|_| {
        let folder = path.parent().unwrap_or(path).display();
        Error::failed_precondition(format!(
            "another process uses {folder}; stop it, or choose another folder with --data-dir"
        ))
        .coded(codes::DATA_FOLDER_IN_USE)
    })?;
    Ok(file)
}

fn connect(path: &Path, flags: OpenFlags) -> Result<Connection> {
    let connection =
        Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX).map_err(|e| failed(path, e))?;
    connection.set_prepared_statement_cache_capacity(64);
    let pragmas = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA busy_timeout = 5000;
                   PRAGMA cache_size = -16000; PRAGMA temp_store = MEMORY; PRAGMA wal_autocheckpoint = 4000;";
    connection.execute_batch(pragmas).map_err(|e| failed(path, e))?;
    Ok(connection)
}

fn in_savepoint<T>(
    connection: &Connection,
    change: impl FnOnce(&Connection) -> Result<T, WriteError>,
) -> Result<T, WriteError> {
    connection.prepare_cached("SAVEPOINT one")?.execute([])?;
    let outcome = change(connection);
    if outcome.is_err() {
        connection.prepare_cached("ROLLBACK TO one")?.execute([])?;
    }
    connection.prepare_cached("RELEASE one")?.execute([])?;
    outcome
}

/// Takes what is waiting, commits it together, then answers. `_lock` lives as long as the thread may write.
fn write_loop(connection: &Connection, path: &Path, mut queue: tokio::sync::mpsc::Receiver<Write>, _lock: File) {
    let mut group = Vec::with_capacity(GROUP_MAX);
    while queue.blocking_recv_many(&mut group, GROUP_MAX) > 0 {
        let begun = connection.execute_batch("BEGIN IMMEDIATE");
        let answers: Vec<Commit> = group.drain(..).map(|write| write(connection)).collect();
        let committed = begun.and_then(|()| connection.execute_batch("COMMIT")).map_err(|e| failed(path, e));
        if committed.is_err() && !connection.is_autocommit() {
            // Whatever half is open is undone; every caller of the group gets the error.
            _ = connection.execute_batch("ROLLBACK");
        }
        answers.into_iter().for_each(|answer| answer(committed.clone()));
    }
}

fn read_loop(connection: &Connection, queue: mpsc::Receiver<Read>) {
    queue.into_iter().for_each(|read| read(connection));
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS numbers (n INTEGER PRIMARY KEY) STRICT";

    async fn insert(database: &Database, n: i64) -> Result<()> {
        database.write(move |c| Ok(c.prepare_cached("INSERT INTO numbers VALUES (?1)")?.execute([n]).map(drop)?)).await
    }

    #[test]
    fn an_error_of_sqlite_has_the_code_of_its_cause() {
        use rusqlite::ffi;
        for (result, code) in [
            (ffi::SQLITE_READONLY, codes::DATA_FOLDER_UNUSABLE),
            (ffi::SQLITE_CANTOPEN, codes::DATA_FOLDER_UNUSABLE),
            (ffi::SQLITE_PERM, codes::DATA_FOLDER_UNUSABLE),
            (ffi::SQLITE_FULL, codes::DATABASE_BUSY),
            (ffi::SQLITE_CORRUPT, codes::DATABASE_BROKEN),
        ] {
            let error = failed(Path::new("t.db"), rusqlite::Error::SqliteFailure(ffi::Error::new(result), None));
            assert_eq!((error.code, error.kind), (code, code.kind), "{result}");
        }
    }

    #[tokio::test]
    async fn a_failed_change_undoes_only_itself_and_answers_survive_reopening() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(folder.path(), "t.db", SCHEMA).unwrap();
        let all = futures::future::join_all((0..500).map(|n| insert(&database, n % 400))).await;
        assert_eq!(all.iter().filter(|result| result.is_err()).count(), 100, "the second insert of a key fails alone");
        assert!(Database::open(folder.path(), "t.db", SCHEMA).is_err_and(|e| e.message.contains("another process")));

        let count = |c: &Connection| c.query_row("SELECT count(*) FROM numbers", [], |row| row.get::<_, i64>(0));
        assert_eq!(database.read(count).await.unwrap(), 400);
    }
}

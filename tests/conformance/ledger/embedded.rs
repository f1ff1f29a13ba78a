//! The embedded ledger: a SQLite file that one process has open.

use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use async_trait::async_trait;
use paceline_adapters::embedded::ledger::EmbeddedLedger;
use paceline_core::ErrorKind;
use paceline_core::clock::SystemClock;
use paceline_core::ports::Ledger;
use paceline_core::testkit::ledger::LedgerHarness;

use super::{completed, spec};

/// A folder has one process and so one ledger: further handles are the same one.
struct Folder {
    folder: tempfile::TempDir,
    current: Mutex<Weak<EmbeddedLedger>>,
}

fn harness(_case: &str) -> Folder {
    Folder { folder: tempfile::tempdir().unwrap(), current: Mutex::default() }
}

#[async_trait]
impl LedgerHarness for Folder {
    async fn open(&self) -> Ledger {
        let current = self.current.lock().unwrap().upgrade();
        if let Some(ledger) = current {
            return Ledger::shared(ledger);
        }
        let ledger =
            tokio::time::timeout(Duration::from_secs(10), self.reopen()).await.expect("the folder is free again");
        *self.current.lock().unwrap() = Arc::downgrade(&ledger);
        Ledger::shared(ledger)
    }
}

impl Folder {
    /// The threads of a dropped ledger let go of the folder a moment later.
    async fn reopen(&self) -> Arc<EmbeddedLedger> {
        loop {
            match EmbeddedLedger::open(self.folder.path(), SystemClock::shared()) {
                Ok(ledger) => return Arc::new(ledger),
                Err(error) if error.kind == ErrorKind::FailedPrecondition => tokio::task::yield_now().await,
                Err(error) => panic!("{error}"),
            }
        }
    }
}

paceline_core::ledger_conformance!(harness);

/// As one finds it that was written before ends were listed.
#[tokio::test]
async fn ends_from_before_they_were_listed_are_unkept_once() {
    let folder = harness("");
    let ledger = folder.open().await;
    let ended = completed(&ledger).await;
    ledger.runs.create(&spec(), "").await.unwrap();
    drop(ledger);
    let file = rusqlite::Connection::open(folder.folder.path().join("ledger.db")).unwrap();
    file.execute_batch("DROP TABLE unkept").unwrap();
    drop(file);

    let ledger = folder.open().await;
    let run = ended.spec.run_id;
    assert_eq!(ledger.runs.unkept(None, 9).await.unwrap(), std::slice::from_ref(&run));
    ledger.runs.note_kept(&run, ended.revision).await.unwrap();
    drop(ledger);
    assert_eq!(folder.open().await.runs.unkept(None, 9).await.unwrap(), []);
}

//! The ledger's conformance suite over both adapters. `embedded` always runs; `redis` runs with the feature `services`, against
//! the server of PACELINE_LEDGER_URL, each case in a namespace of its own.

use std::sync::Arc;

use async_trait::async_trait;
use paceline_core::ports::Ledger;
use paceline_core::testkit::ledger::Harness;

mod embedded {
    use std::sync::{Mutex, Weak};
    use std::time::Duration;

    use paceline_adapters::embedded::ledger::EmbeddedLedger;
    use paceline_core::ErrorKind;
    use paceline_core::clock::SystemClock;

    use super::*;

    /// A folder has one process and so one ledger: further handles are the same one.
    struct Folder {
        folder: tempfile::TempDir,
        current: Mutex<Weak<dyn Ledger>>,
    }

    fn harness(_case: &str) -> Folder {
        Folder { folder: tempfile::tempdir().unwrap(), current: Mutex::new(Weak::<EmbeddedLedger>::new()) }
    }

    #[async_trait]
    impl Harness for Folder {
        async fn open(&self) -> Arc<dyn Ledger> {
            let current = self.current.lock().unwrap().upgrade();
            if let Some(ledger) = current {
                return ledger;
            }
            let ledger =
                tokio::time::timeout(Duration::from_secs(10), self.reopen()).await.expect("the folder is free again");
            *self.current.lock().unwrap() = Arc::downgrade(&ledger);
            ledger
        }
    }

    impl Folder {
        /// The threads of a dropped ledger let go of the folder a moment later.
        async fn reopen(&self) -> Arc<dyn Ledger> {
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
}

#[cfg(feature = "services")]
mod redis {
    use paceline_adapters::redis::{RedisConfig, RedisLedger};
    use paceline_core::ids::RunId;

    use super::*;

    struct Namespace(RedisConfig);

    fn harness(_case: &str) -> Namespace {
        let url = std::env::var("PACELINE_LEDGER_URL");
        let url = url.expect("PACELINE_LEDGER_URL is not set: run `make test`, or eval \"$(infra/local/stack up)\"");
        let namespace = format!("test-{}", RunId::generate(0));
        Namespace(RedisConfig { url, namespace, ca_file: None })
    }

    #[async_trait]
    impl Harness for Namespace {
        async fn open(&self) -> Arc<dyn Ledger> {
            Arc::new(RedisLedger::connect(self.0.clone()).await.unwrap())
        }
    }

    paceline_core::ledger_conformance!(harness);
}

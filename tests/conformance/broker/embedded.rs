//! The embedded broker: a SQLite file that one process has open.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use paceline_adapters::embedded::EmbeddedBroker;
use paceline_core::clock::SystemClock;
use paceline_core::ports::broker::Broker;
use paceline_core::testkit::broker::BrokerHarness;

paceline_core::broker_conformance!(async { EmbeddedHarness::new() });

/// A folder of its own; one opener at a time.
struct EmbeddedHarness {
    folder: tempfile::TempDir,
    broker: Mutex<Arc<EmbeddedBroker>>,
}

impl EmbeddedHarness {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let broker = EmbeddedBroker::open(folder.path(), SystemClock::shared()).unwrap();
        Self { folder, broker: Mutex::new(Arc::new(broker)) }
    }
}

#[async_trait]
impl BrokerHarness for EmbeddedHarness {
    async fn connect(&self) -> Arc<dyn Broker> {
        self.broker.lock().unwrap().clone()
    }

    async fn reopen(&self, broker: Arc<dyn Broker>) -> Arc<dyn Broker> {
        drop(broker);
        // A file cannot be opened twice, so the copy stands for what another process would find.
        let copy = self.folder.path().join("reopened");
        std::fs::create_dir_all(&copy).unwrap();
        for file in
            std::fs::read_dir(self.folder.path()).unwrap().map(Result::unwrap).filter(|file| file.path().is_file())
        {
            std::fs::copy(file.path(), copy.join(file.file_name())).unwrap();
        }
        let reopened = Arc::new(EmbeddedBroker::open(&copy, SystemClock::shared()).unwrap());
        *self.broker.lock().unwrap() = reopened.clone();
        reopened
    }
}

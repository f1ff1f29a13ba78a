//! Both brokers pass the same cases. RabbitMQ's need the feature `services` and a broker: `make test` provides both.

mod embedded {
    use std::sync::{Arc, Mutex};

    use async_trait::async_trait;
    use paceline_adapters::embedded::EmbeddedBroker;
    use paceline_core::clock::SystemClock;
    use paceline_core::ports::broker::Broker;
    use paceline_core::testkit::broker::Harness;

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
    impl Harness for EmbeddedHarness {
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
}

#[cfg(feature = "services")]
mod rabbitmq {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use async_trait::async_trait;
    use paceline_adapters::rabbitmq::{RabbitBroker, RabbitConfig};
    use paceline_core::clock::SystemClock;
    use paceline_core::ports::broker::Broker;
    use paceline_core::testkit::broker::{GROUP, GROUP_SECOND, Harness, QUEUE};

    paceline_core::broker_conformance!(async { RabbitHarness::new() });

    /// A namespace of its own on the shared broker.
    struct RabbitHarness {
        config: RabbitConfig,
    }

    impl RabbitHarness {
        fn new() -> Self {
            static CASES: AtomicU64 = AtomicU64::new(0);
            let url = std::env::var("PACELINE_BROKER_URL")
                .expect("PACELINE_BROKER_URL is not set: run `make test`, or eval \"$(infra/local/stack up)\"");
            let case = CASES.fetch_add(1, Ordering::Relaxed);
            let namespace = format!("test-{}-{}-{case}", SystemClock::shared().wall_ms(), std::process::id());
            Self { config: RabbitConfig { url, namespace, ca_file: None } }
        }

        async fn rabbit(&self) -> RabbitBroker {
            RabbitBroker::connect(self.config.clone(), SystemClock::shared()).await.unwrap()
        }
    }

    #[async_trait]
    impl Harness for RabbitHarness {
        async fn connect(&self) -> Arc<dyn Broker> {
            Arc::new(self.rabbit().await)
        }

        async fn reopen(&self, broker: Arc<dyn Broker>) -> Arc<dyn Broker> {
            drop(broker);
            self.connect().await
        }

        async fn clean_up(&self) {
            let broker = self.rabbit().await;
            for group in [GROUP, GROUP_SECOND] {
                broker.remove(QUEUE, group).await.unwrap();
            }
        }
    }
}

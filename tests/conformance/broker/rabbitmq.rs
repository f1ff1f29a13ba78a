//! RabbitMQ, at the address of PACELINE_BROKER_URL; each case has a namespace of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use paceline_adapters::rabbitmq::{RabbitBroker, RabbitConfig};
use paceline_core::clock::SystemClock;
use paceline_core::ports::broker::Broker;
use paceline_core::testkit::broker::{BrokerHarness, GROUP, GROUP_SECOND, QUEUE};

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
impl BrokerHarness for RabbitHarness {
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

//! From a URL's scheme to an adapter: the one place that knows which vendor stands behind a port.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use paceline_core::Result;
use paceline_core::clock::SharedClock;
use paceline_core::ports::sink::Payloads;
use paceline_core::ports::{Broker, Ledger, Sink};

use crate::elasticsearch::{ElasticConfig, ElasticSink};
use crate::embedded::{EmbeddedBroker, EmbeddedLedger, EmbeddedSink};
use crate::rabbitmq::{RabbitBroker, RabbitConfig};
use crate::redis::{RedisConfig, RedisLedger};

/// Where the services are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connections {
    pub broker_url: String,
    pub sink_url: String,
    pub ledger_url: String,
    /// Prefix of queues, indices and keys.
    pub namespace: String,
    /// Certificate authorities besides the system's, for amqps, https and rediss.
    pub ca_file: Option<PathBuf>,
    /// How a sink that indexes documents does so with their payloads.
    pub payloads: Payloads,
}

/// One process's adapters. Those of an embedded folder must be shared: the folder belongs to one opener.
#[derive(Clone)]
pub struct Backends {
    pub broker: Arc<dyn Broker>,
    pub sink: Arc<dyn Sink>,
    pub ledger: Arc<dyn Ledger>,
}

impl Connections {
    /// Everything embedded in `folder`.
    pub fn embedded(folder: &Path) -> Self {
        let url = format!("embedded:{}", folder.display());
        Self {
            broker_url: url.clone(),
            sink_url: url.clone(),
            ledger_url: url,
            namespace: "paceline".into(),
            ca_file: None,
            payloads: Payloads::default(),
        }
    }
}

/// Connects to all three. The error says which one, and what to do.
pub async fn connect(connections: &Connections, clock: SharedClock) -> Result<Backends> {
    let (broker, sink, ledger) =
        tokio::join!(broker(connections, clock.clone()), sink(connections, clock.clone()), ledger(connections, clock));
    Ok(Backends { broker: broker?, sink: sink?, ledger: ledger? })
}

pub async fn broker(connections: &Connections, clock: SharedClock) -> Result<Arc<dyn Broker>> {
    let Connections { broker_url, namespace, ca_file, .. } = connections;
    Ok(match folder(broker_url) {
        Some(folder) => Arc::new(EmbeddedBroker::open(&folder, clock)?),
        None => {
            let config =
                RabbitConfig { url: broker_url.clone(), namespace: namespace.clone(), ca_file: ca_file.clone() };
            Arc::new(RabbitBroker::connect(config, clock).await?)
        }
    })
}

pub async fn sink(connections: &Connections, clock: SharedClock) -> Result<Arc<dyn Sink>> {
    let Connections { sink_url, namespace, ca_file, payloads, .. } = connections;
    Ok(match folder(sink_url) {
        Some(folder) => Arc::new(EmbeddedSink::open(&folder)?),
        None => {
            let config = ElasticConfig {
                url: sink_url.clone(),
                namespace: namespace.clone(),
                ca_file: ca_file.clone(),
                payloads: *payloads,
            };
            Arc::new(ElasticSink::connect(config, clock)?)
        }
    })
}

pub async fn ledger(connections: &Connections, clock: SharedClock) -> Result<Arc<dyn Ledger>> {
    let Connections { ledger_url, namespace, ca_file, .. } = connections;
    Ok(match folder(ledger_url) {
        Some(folder) => Arc::new(EmbeddedLedger::open(&folder, clock)?),
        None => {
            let config =
                RedisConfig { url: ledger_url.clone(), namespace: namespace.clone(), ca_file: ca_file.clone() };
            Arc::new(RedisLedger::connect(config).await?)
        }
    })
}

fn folder(url: &str) -> Option<PathBuf> {
    url.strip_prefix("embedded:").map(PathBuf::from)
}

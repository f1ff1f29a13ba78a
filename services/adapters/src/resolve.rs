//! Turns a URL's scheme into an adapter: the one place that knows which vendor stands behind a port.

use std::sync::Arc;

use paceline_core::Result;
use paceline_core::clock::SharedClock;
pub use paceline_core::connections::Connections;
use paceline_core::connections::embedded_folder;
use paceline_core::nodes::node_urls;
use paceline_core::ports::{Backends, Broker, Ledger, Sink};

use crate::elasticsearch::{ElasticConfig, ElasticSink};
use crate::embedded::{EmbeddedBroker, EmbeddedLedger, EmbeddedSink};
use crate::rabbitmq::{RabbitBroker, RabbitConfig};
use crate::redis::{RedisConfig, RedisLedger};

/// Connects to all three. The error says which one, and what to do.
pub async fn connect(connections: &Connections, clock: SharedClock) -> Result<Backends> {
    let (broker, sink, ledger) =
        tokio::join!(broker(connections, clock.clone()), sink(connections, clock.clone()), ledger(connections, clock));
    Ok(Backends { broker: broker?, sink: sink?, ledger: ledger? })
}

/// One node of a service that has several, and what it says.
pub struct ServiceNode {
    pub service: &'static str,
    pub address: String,
    pub answer: Result<String>,
}

/// Each node by itself, for `doctor`: while one of them answers, the services do. Nothing where a URL names one node.
pub async fn nodes(connections: &Connections, clock: SharedClock) -> Vec<ServiceNode> {
    let at = |url: &str, of: &str| url.starts_with(of) && (node_urls(url).len() > 1 || url.contains("+sentinel://"));
    let Connections { broker_url, sink_url, ledger_url, .. } = connections;
    let (brokers, sinks, ledgers) = tokio::join!(
        async { if at(broker_url, "amqp") { RabbitBroker::look(&rabbit(connections)).await } else { Ok(Vec::new()) } },
        async {
            if at(sink_url, "http") {
                Ok(ElasticSink::connect(elastic(connections), clock)?.look().await)
            } else {
                Ok(Vec::new())
            }
        },
        async { if at(ledger_url, "redis") { RedisLedger::look(&redis(connections)).await } else { Ok(Vec::new()) } },
    );
    let named = [("broker", brokers), ("sink", sinks), ("ledger", ledgers)];
    // An unusable URL is told by whoever connects to the service as a whole.
    let answers = named.into_iter().flat_map(|(service, nodes)| {
        nodes.unwrap_or_default().into_iter().map(move |(address, answer)| ServiceNode { service, address, answer })
    });
    answers.collect()
}

pub(crate) fn rabbit(connections: &Connections) -> RabbitConfig {
    let Connections { broker_url, namespace, ca_file, .. } = connections;
    RabbitConfig { url: broker_url.clone(), namespace: namespace.clone(), ca_file: ca_file.clone() }
}

pub(crate) fn elastic(connections: &Connections) -> ElasticConfig {
    let Connections { sink_url, namespace, ca_file, payloads, .. } = connections;
    ElasticConfig { url: sink_url.clone(), namespace: namespace.clone(), ca_file: ca_file.clone(), payloads: *payloads }
}

pub(crate) fn redis(connections: &Connections) -> RedisConfig {
    let Connections { ledger_url, namespace, ca_file, .. } = connections;
    RedisConfig { url: ledger_url.clone(), namespace: namespace.clone(), ca_file: ca_file.clone() }
}

pub async fn broker(connections: &Connections, clock: SharedClock) -> Result<Arc<dyn Broker>> {
    Ok(match embedded_folder(&connections.broker_url) {
        Some(folder) => Arc::new(EmbeddedBroker::open(folder, clock)?),
        None => Arc::new(RabbitBroker::connect(rabbit(connections), clock).await?),
    })
}

pub async fn sink(connections: &Connections, clock: SharedClock) -> Result<Sink> {
    Ok(match embedded_folder(&connections.sink_url) {
        Some(folder) => Sink::of(EmbeddedSink::open(folder)?),
        None => Sink::of(ElasticSink::connect(elastic(connections), clock)?),
    })
}

pub async fn ledger(connections: &Connections, clock: SharedClock) -> Result<Ledger> {
    Ok(match embedded_folder(&connections.ledger_url) {
        Some(folder) => Ledger::of(EmbeddedLedger::open(folder, clock)?),
        None => Ledger::of(RedisLedger::connect(redis(connections)).await?),
    })
}

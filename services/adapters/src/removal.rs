//! Removes everything of a namespace from a service: what a benchmark made is gone when it has ended. A service that is embedded has
//! nothing to remove but its folder, which is its owner's to delete.

use paceline_core::Result;
use paceline_core::clock::SharedClock;
use paceline_core::connections::{Connections, is_embedded};

use crate::elasticsearch::ElasticSink;
use crate::rabbitmq::RabbitBroker;
use crate::redis::RedisLedger;
use crate::resolve::{elastic, rabbit, redis};

/// Removes the queues and exchanges of `queue` for `group`. Answers 0, because RabbitMQ does not say if there were any.
pub async fn remove_queues(connections: &Connections, clock: SharedClock, queue: &str, group: &str) -> Result<u64> {
    if !is_embedded(&connections.broker_url) {
        RabbitBroker::connect(rabbit(connections), clock).await?.remove(queue, group).await?;
    }
    Ok(0)
}

/// Removes indices and index templates; answers how many there were.
pub async fn remove_documents(connections: &Connections, clock: SharedClock) -> Result<u64> {
    if is_embedded(&connections.sink_url) {
        return Ok(0);
    }
    ElasticSink::connect(elastic(connections), clock)?.remove_namespace().await
}

/// Removes the keys of the namespace and of its `groups`; answers how many there were.
pub async fn remove_counts(connections: &Connections, groups: &[String]) -> Result<u64> {
    if is_embedded(&connections.ledger_url) {
        return Ok(0);
    }
    RedisLedger::connect(redis(connections)).await?.remove_namespace(groups).await
}

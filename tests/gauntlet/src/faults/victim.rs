//! Harms of a cluster, which strike one node at a time. A leaf.

use std::time::Duration;

use crate::world::services::Service;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Harm {
    /// SIGKILL, and the start after some time.
    Kill,
    /// SIGSTOP: it keeps every connection and says nothing.
    Freeze,
    /// Nobody reaches it; for Redis that includes replicas and sentinels.
    Cut,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Victim {
    /// The node that leads at that moment: Redis' primary, Elasticsearch's master, the leader of RabbitMQ's main queue.
    Leader(Service),
    Node(String),
}

impl Harm {
    pub fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill a node",
            Self::Freeze => "freeze a node",
            Self::Cut => "cut off a node",
        }
    }

    /// A time longer than any election, so that there has to be one.
    pub fn lasts(self, rng: &mut fastrand::Rng) -> Duration {
        let ms = match self {
            Self::Kill => 8_000..12_000,
            Self::Freeze => 14_000..18_000,
            Self::Cut => 10_000..14_000,
        };
        Duration::from_millis(rng.u64(ms))
    }
}

impl Victim {
    pub fn service(&self) -> Service {
        match self {
            Self::Leader(service) => *service,
            Self::Node(node) if node.starts_with("rabbitmq") => Service::RabbitMq,
            Self::Node(node) if node.starts_with("elasticsearch") => Service::Elasticsearch,
            // Sentinels are the ledger's.
            Self::Node(_) => Service::Redis,
        }
    }

    pub fn name(&self) -> String {
        match self {
            Self::Leader(service) => format!("leader of {}", service.name()),
            Self::Node(node) => node.clone(),
        }
    }
}

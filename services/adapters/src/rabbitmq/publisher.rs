//! Publishes batches and waits for their confirms, in bounded time whatever the broker does. One epoch of that is [`Publishing`].

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use paceline_core::clock::SharedClock;
use paceline_core::error::codes;
use paceline_core::ports::broker::{Confirm, Message};
use paceline_core::{Error, Result};

use super::message::{self, Target};
use super::nodes::RabbitNodes;
use super::publishing::Publishing;
use crate::link::Link;

/// The longest that a publish takes, connecting included.
const PUBLISH_TIMEOUT: Duration = Duration::from_secs(10);

pub struct Publisher {
    nodes: Arc<RabbitNodes>,
    ca_file: Option<PathBuf>,
    exchange: String,
    link: Link<Publishing>,
}

impl Publisher {
    pub fn new(nodes: Arc<RabbitNodes>, ca_file: Option<PathBuf>, exchange: String, clock: SharedClock) -> Self {
        Self { nodes, ca_file, exchange, link: Link::new(clock) }
    }

    /// One confirm for each message, in order.
    pub async fn publish(&self, target: Target<'_>, batch: &[Message]) -> Result<Vec<Confirm>> {
        for message in batch {
            message::check(message)?;
        }
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let deadline = tokio::time::Instant::now() + PUBLISH_TIMEOUT;
        let late = || {
            Error::unavailable(format!("no connection to RabbitMQ at {} within {PUBLISH_TIMEOUT:?}", self.nodes))
                .coded(codes::BROKER_UNREACHABLE)
        };
        let epoch = tokio::time::timeout_at(deadline, self.epoch()).await.map_err(|_| late())??;
        let confirmed_before = epoch.confirmed();
        let published = tokio::time::timeout_at(deadline, epoch.publish(target, batch)).await;
        published.unwrap_or_else(|_| Err(epoch.overdue(confirmed_before, PUBLISH_TIMEOUT)))
    }

    /// The reason for which RabbitMQ takes no publishes now, as it told the connection that is open.
    pub fn blocked(&self) -> Option<String> {
        self.link.current()?.blocked()
    }

    /// The number of times that the connection was replaced.
    pub fn rebuilt(&self) -> u64 {
        self.link.rebuilt()
    }

    async fn epoch(&self) -> Result<Arc<Publishing>> {
        self.link.get(async || self.open().await).await
    }

    async fn open(&self) -> Result<Publishing> {
        let connection = self.nodes.connect(self.ca_file.as_deref(), "paceline publisher").await?;
        Publishing::open(connection, &self.exchange).await
    }
}

//! The broker port over RabbitMQ.

use std::sync::Arc;

use async_trait::async_trait;
use paceline_core::clock::SharedClock;
use paceline_core::ids::check_name;
use paceline_core::ports::broker::{Broker, Confirm, Consumer, DeadLetter, Depth, Message};
use paceline_core::{Error, Result};

use super::config::RabbitConfig;
use super::connection::AmqpConnection;
use super::message::Target;
use super::names::QueueNames;
use super::nodes::RabbitNodes;
use super::publisher::Publisher;
use super::{consumer, inspect};
use crate::link::{Epoch, Link};

/// Holds two connections, one for publishing and one for everything else, and rebuilds each on the call after it failed.
pub struct RabbitBroker {
    config: RabbitConfig,
    nodes: Arc<RabbitNodes>,
    publisher: Arc<Publisher>,
    consuming: Link<AmqpConnection>,
}

impl Epoch for AmqpConnection {
    fn failure(&self) -> Option<Error> {
        AmqpConnection::failure(self)
    }
}

impl RabbitBroker {
    /// Connects at once, so that a wrong address or login shows at the start.
    pub async fn connect(config: RabbitConfig, clock: SharedClock) -> Result<Self> {
        let nodes = Arc::new(config.nodes()?);
        let publisher = Publisher::new(nodes.clone(), config.ca_file.clone(), config.namespace.clone(), clock.clone());
        let broker = Self { config, nodes, publisher: Arc::new(publisher), consuming: Link::new(clock) };
        broker.connection().await?;
        Ok(broker)
    }

    /// Deletes every queue of (`queue`, `group`), with all that is in them, and the exchange when nothing else uses it.
    pub async fn remove(&self, queue: &str, group: &str) -> Result<()> {
        let names = self.names(queue, group)?;
        let connection = self.connection().await?;
        connection.declared().forget();
        inspect::remove(&connection, &names).await
    }

    /// Each node, with its product and version or with the reason for which it does not answer.
    pub async fn look(config: &RabbitConfig) -> Result<Vec<(String, Result<String>)>> {
        Ok(config.nodes()?.look(config.ca_file.as_deref()).await)
    }

    async fn connection(&self) -> Result<Arc<AmqpConnection>> {
        let ca_file = self.config.ca_file.as_deref();
        self.consuming.get(async || self.nodes.connect(ca_file, "paceline consumer").await).await
    }

    fn names(&self, queue: &str, group: &str) -> Result<QueueNames> {
        QueueNames::new(&self.config.namespace, queue, group)
    }
}

#[async_trait]
impl Broker for RabbitBroker {
    async fn declare(&self, queue: &str, group: &str) -> Result<()> {
        let names = self.names(queue, group)?;
        let connection = self.connection().await?;
        connection.declare(&names).await
    }

    async fn publish(&self, queue: &str, batch: Vec<Message>) -> Result<Vec<Confirm>> {
        check_name("queue", queue)?;
        let target = Target { exchange: &self.config.namespace, routing_key: queue, reason: None };
        let confirms = self.publisher.publish(target, &batch).await?;
        if confirms.contains(&Confirm::Unroutable)
            && let Some(connection) = self.consuming.current()
        {
            connection.declared().forget();
        }
        Ok(confirms)
    }

    async fn consume(&self, queue: &str, group: &str, prefetch: u16) -> Result<Consumer> {
        let names = self.names(queue, group)?;
        let connection = self.connection().await?;
        consumer::start(&connection, names, prefetch, self.publisher.clone()).await
    }

    async fn depth(&self, queue: &str, group: &str) -> Result<Depth> {
        let names = self.names(queue, group)?;
        let connection = self.connection().await?;
        let depth = inspect::depth(&connection, &names).await;
        if depth.is_err() {
            // Maybe since somebody has deleted a queue: the next declaration makes it again.
            connection.declared().forget();
        }
        depth
    }

    async fn purge(&self, queue: &str, group: &str) -> Result<u64> {
        let names = self.names(queue, group)?;
        inspect::purge(&*self.connection().await?, &names).await
    }

    async fn dead_letters(&self, queue: &str, group: &str, limit: usize) -> Result<Vec<DeadLetter>> {
        let names = self.names(queue, group)?;
        inspect::dead_letters(&*self.connection().await?, &names, limit).await
    }

    async fn check(&self) -> Result<String> {
        let connection = self.connection().await?;
        // An answer shows that the broker is there now, not only that it once was.
        inspect::ping(&connection).await?;
        Ok(format!("{} at {}", connection.server(), connection.node()))
    }

    fn blocked(&self) -> Option<String> {
        self.publisher.blocked()
    }

    fn rebuilt(&self) -> u64 {
        self.publisher.rebuilt() + self.consuming.rebuilt()
    }
}

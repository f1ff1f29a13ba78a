//! Settles one delivery on the channel that it came from.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures::task::AtomicWaker;
use paceline_core::error::codes;
use paceline_core::ports::broker::{Confirm, Message, Settle};
use paceline_core::{Error, Result};

use super::acker::Acker;
use super::message::Target;
use super::names::QueueNames;
use super::publisher::Publisher;

/// The state that a consumer and its deliveries share.
pub struct ConsumerShare {
    pub acker: Acker,
    pub names: QueueNames,
    pub publisher: Arc<Publisher>,
    /// Handed out and not settled.
    pub count: AtomicUsize,
    /// The consumer, when it waits for one to be settled.
    pub waiting: AtomicWaker,
}

pub struct RabbitSettle {
    pub held: Arc<ConsumerShare>,
    pub tag: u64,
}

#[async_trait]
impl Settle for RabbitSettle {
    fn is_live(&self) -> bool {
        !self.held.acker.is_closed()
    }

    fn ack(self: Box<Self>) {
        self.held.acker.ack(self.tag);
        self.held.settled_one();
    }

    async fn retry(self: Box<Self>, retry: Message, after: Duration) -> Result<()> {
        let queue = self.held.names.retry(after);
        self.held.publish_to(queue, retry, None).await?;
        self.ack();
        Ok(())
    }

    async fn dead(self: Box<Self>, message: Message, reason: String) -> Result<()> {
        self.held.publish_to(&self.held.names.dead, message, Some(&reason)).await?;
        self.ack();
        Ok(())
    }

    fn give_back(self: Box<Self>) {
        self.held.acker.give_back(self.tag);
        self.held.settled_one();
    }
}

impl ConsumerShare {
    fn settled_one(&self) {
        self.count.fetch_sub(1, Ordering::AcqRel);
        self.waiting.wake();
    }

    /// Publishes to one queue by its name. Not for a delivery that comes back anyway: that would double it.
    async fn publish_to(&self, queue: &str, message: Message, reason: Option<&str>) -> Result<()> {
        if self.acker.is_closed() {
            return Err(Error::aborted(format!(
                "the channel of message {:?} is gone; it is delivered again",
                message.id
            ))
            .coded(codes::DELIVERY_LOST));
        }
        let target = Target { exchange: "", routing_key: queue, reason };
        match self.publisher.publish(target, &[message]).await?.pop() {
            Some(Confirm::Confirmed) => Ok(()),
            Some(Confirm::Refused(why)) => Err(Error::unavailable(why).coded(codes::QUEUE_FULL)),
            Some(Confirm::Unroutable) | None => {
                Err(Error::unavailable(format!("the queue {queue} is gone; a new consumer makes it again"))
                    .coded(codes::QUEUE_GONE))
            }
        }
    }
}

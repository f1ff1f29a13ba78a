//! The broker port: carries messages from producers to workers, at least once.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::BoxStream;

use crate::error::Result;

/// The default number of deliveries a consumer may hold unsettled.
pub const PREFETCH_DEFAULT: u16 = 10;
/// The deliveries of one message after which the broker gives the message up. The limit is high, so that killed workers do not spend it
/// for the innocent neighbours of a poison message.
pub const DELIVERY_LIMIT: u32 = 1_000;

/// A message on the wire. A producer writes a [`crate::job::Job`] as JSON into `body`; a worker trusts no field of a message that arrives.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// The jobId. Empty when a foreign client sent none.
    pub id: String,
    /// The message's `type`: the handler's name, for people and tools; the worker believes the body.
    pub handler: Arc<str>,
    /// The run's id, as a header; empty when a foreign client sent none.
    pub run: Arc<str>,
    pub seq: Option<u64>,
    /// 1 for the first attempt.
    pub attempt: u32,
    pub timestamp_ms: i64,
    /// W3C trace context.
    pub traceparent: Option<String>,
    pub body: Bytes,
}

/// The broker's word on one message of a publish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Confirm {
    /// The broker has it, durably.
    Confirmed,
    /// No queue takes it.
    Unroutable,
    /// The broker refused the message because it is full or about to stop. The message may be published again.
    Refused(String),
}

/// The messages of a queue, by where they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Depth {
    pub ready: u64,
    /// Delivered and not settled; `None` where the broker does not say (unknown is never zero).
    pub unacked: Option<u64>,
    /// Waiting for their retry.
    pub delayed: u64,
    pub dead: u64,
}

impl Depth {
    /// The higher one of each number; a number that is unknown in either stays unknown.
    pub fn max(self, other: Self) -> Self {
        Self {
            ready: self.ready.max(other.ready),
            unacked: self.unacked.zip(other.unacked).map(|(one, another)| one.max(another)),
            delayed: self.delayed.max(other.delayed),
            dead: self.dead.max(other.dead),
        }
    }
}

/// Messages go to a named queue, and every consumer group of it sees each once.
///
/// Promises, which the conformance suite checks:
/// * A message that is `Confirmed` is delivered, at least once, to every group that was declared before: also after a crash of
///   the broker, of this process, or of both.
/// * At most `prefetch` deliveries of a consumer are unsettled at any time.
/// * What a dropped or dead consumer held comes back to the queue and is delivered again, with `redeliveries` grown by one
///   (not where consumer and broker are one process that dies: what it held is then as if never handed out).
/// * A message that came back [`DELIVERY_LIMIT`] times is handed out as `given_up`.
/// * Messages of one queue are delivered roughly in the order of their confirms; redelivered ones may come at any time.
#[async_trait]
pub trait Broker: Send + Sync + 'static {
    /// Makes the queue, with its dead queue and delay queues, for `group`. Idempotent; keeps what is in it.
    async fn declare(&self, queue: &str, group: &str) -> Result<()>;

    /// Publishes `batch` and answers after the broker has decided on every message: one [`Confirm`] each, in order.
    ///
    /// `Err` means that for some messages it is unknown: publish the whole batch again (duplicates are normal, and each job is counted once
    /// later).
    /// Fails with `Unavailable` within a bounded time when the broker is away or blocks publishers; never hangs.
    async fn publish(&self, queue: &str, batch: Vec<Message>) -> Result<Vec<Confirm>>;

    /// Starts a consumer with its own prefetch. Dropping the [`Consumer`] ends it and gives back what it holds.
    async fn consume(&self, queue: &str, group: &str, prefetch: u16) -> Result<Consumer>;

    /// A reading from the broker itself, at most a few seconds old; an error when it cannot be read, never zeros. `NotFound`: there
    /// is no such queue.
    async fn depth(&self, queue: &str, group: &str) -> Result<Depth>;

    /// Removes the ready messages and answers how many.
    async fn purge(&self, queue: &str, group: &str) -> Result<u64>;

    /// Reads up to `limit` messages of the dead queue with the reason of each, oldest first, and leaves them there.
    async fn dead_letters(&self, queue: &str, group: &str, limit: usize) -> Result<Vec<DeadLetter>>;

    /// Reaches the service and says what it is, for `doctor` and readiness.
    async fn check(&self) -> Result<String>;

    /// The broker's own words on why it takes no publishes now (memory, disk); `None` while it takes them. Consuming may go on.
    fn blocked(&self) -> Option<String> {
        None
    }

    /// Connections that were lost and built anew since this adapter was made.
    fn rebuilt(&self) -> u64 {
        0
    }
}

/// A message in a dead queue.
#[derive(Debug, Clone, PartialEq)]
pub struct DeadLetter {
    pub message: Message,
    pub reason: String,
}

/// A stream of deliveries. It ends when the consumer cannot go on (connection or channel lost, queue deleted, cancelled by the
/// broker): the caller then consumes anew. An `Err` item is the reason and the last one.
pub struct Consumer {
    pub deliveries: BoxStream<'static, Result<Delivery>>,
    /// Ends the consumer in order; see [`Consumer::close`].
    pub closing: BoxFuture<'static, ()>,
}

impl Consumer {
    /// Ends the consumer after every ack and give-back before it has been sent; what is unsettled comes back. Never hangs.
    pub async fn close(self) {
        self.closing.await;
        drop(self.deliveries);
    }
}

/// One delivery of a message. A delivery that is dropped unsettled stays with its consumer and counts against the consumer's prefetch; the
/// message comes back when the consumer ends.
pub struct Delivery {
    pub message: Message,
    /// Earlier deliveries of this message, so 0 for the first one. Counts at least every return by a lost consumer.
    pub redeliveries: u32,
    /// The reason for which the broker itself gave the message up (delivery limit, expiry). The worker records the job as dead, then
    /// settles the delivery with [`Delivery::dead`].
    pub given_up: Option<String>,
    pub settle: Box<dyn Settle>,
}

/// Settles one delivery, in exactly one way. A delivery of a lost connection or channel settles nothing: nothing is sent, and the message
/// comes back (L4).
#[async_trait]
pub trait Settle: Send + Sync {
    /// False once the delivery's consumer is known to be gone: the message then comes back whatever is done.
    fn is_live(&self) -> bool {
        true
    }

    /// Acknowledges. Does not wait: acks of one channel are gathered and sent in order, cumulatively where they can be.
    fn ack(self: Box<Self>);

    /// Puts `retry` (the same job with its attempt grown by one) into the queue of the ladder step at or above `after`, waits
    /// for the confirm, then acks the original. On `Err` the original is not acked: the delivery comes back when the consumer ends.
    async fn retry(self: Box<Self>, retry: Message, after: Duration) -> Result<()>;

    /// Puts the message into the dead queue with `reason`, waits for the confirm, then acks the original. `Err` as for `retry`.
    async fn dead(self: Box<Self>, message: Message, reason: String) -> Result<()>;

    /// Gives the message back to the queue at once, undone, as at shutdown. A give-back is no attempt.
    fn give_back(self: Box<Self>);
}

impl Delivery {
    /// See [`Settle::is_live`].
    pub fn is_live(&self) -> bool {
        self.settle.is_live()
    }

    pub fn ack(self) {
        self.settle.ack();
    }

    pub fn give_back(self) {
        self.settle.give_back();
    }

    pub async fn retry(self, after: Duration) -> Result<()> {
        let Self { mut message, settle, .. } = self;
        message.attempt += 1;
        settle.retry(message, after).await
    }

    pub async fn dead(self, reason: impl Into<String> + Send) -> Result<()> {
        let Self { message, settle, .. } = self;
        settle.dead(message, reason.into()).await
    }
}

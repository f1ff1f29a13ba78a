//! Part of a batch on its way through one channel: sent at once, then confirmed message by message.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use lapin::options::BasicPublishOptions;
use lapin::types::ShortString;
use lapin::{BasicProperties, Channel, Confirmation};
use paceline_core::ports::broker::{Confirm, Message};
use tokio_util::sync::ReusableBoxFuture;

use super::connection::AmqpConnection;
use super::message::{self, Target};

/// The most messages of a chunk, and the most bytes unless one message alone has more: what waits for the socket is bounded by both.
pub const MESSAGES_MAX: usize = 256;
pub const BYTES_MAX: usize = 1024 * 1024;

/// Each channel carries one chunk at a time; so many chunks are on their way at once, and the broker serves each on its own core. Two
/// queues that confirm nothing leave some to the others.
pub const CHANNELS: usize = 16;

/// The longest that a chunk waits for its next confirm. Its channel cannot be used again before all confirms are in, so it is given up
/// then.
pub const CHUNK_TIMEOUT: Duration = Duration::from_secs(30);

/// A broker that has decided on nothing for so long when a chunk expires is silent: all of the chunk's time, but for its beginning, when
/// others may have been decided along with its own last one.
const SILENCE: Duration = CHUNK_TIMEOUT.saturating_sub(Duration::from_secs(2));

/// The longest that a chunk keeps its channel while its confirms come one by one. Its publishers have given up long before.
const CHUNK_TIMEOUT_IN_ALL: Duration = Duration::from_secs(120);

/// The broker's word on a message.
type Publish = ReusableBoxFuture<'static, lapin::Result<Confirmation>>;

/// A channel in confirm mode, with the memory of its publishes. lapin's future takes 1.5 KB, and a fifth of a producer's time was
/// spent on allocating one for each message.
pub struct Lane {
    pub channel: Arc<Channel>,
    publishes: Vec<Publish>,
}

pub struct Chunk {
    lane: Lane,
    /// The number of the lane's publishes that are of this chunk.
    count: usize,
}

/// The reason for which there is no confirm.
#[derive(Debug, Clone)]
pub enum Unconfirmed {
    /// The broker has confirmed no message of the chunk for [`CHUNK_TIMEOUT`]. That may be one queue's fault: only the channel is lost
    /// unless the broker has been silent, because it decided on no other chunk's messages in that time either.
    Expired { is_silent: bool },
    /// The channel has ended.
    Lost(lapin::Error),
}

/// The broker's word, or why there is none.
pub type Decided<T> = std::result::Result<T, Unconfirmed>;

impl From<lapin::Error> for Unconfirmed {
    fn from(error: lapin::Error) -> Self {
        Self::Lost(error)
    }
}

/// A batch in parts that a channel takes at once.
pub fn chunks(batch: &[Message]) -> impl Iterator<Item = &[Message]> {
    let mut rest = batch;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let mut bytes = 0;
        let fits = |message: &&Message| {
            bytes += message.body.len();
            bytes <= BYTES_MAX
        };
        let count = rest.iter().take(MESSAGES_MAX).take_while(fits).count().max(1);
        let (chunk, others) = rest.split_at(count);
        rest = others;
        Some(chunk)
    })
}

impl Lane {
    pub fn new(channel: Arc<Channel>) -> Self {
        Self { channel, publishes: Vec::new() }
    }

    fn publish(&mut self, index: usize, target: Target<'_>, message: &Message) {
        let (exchange, key) = (ShortString::from(target.exchange), ShortString::from(target.routing_key));
        let properties = message::properties(message, index, target.reason);
        let published = publish(self.channel.clone(), exchange, key, message.body.clone(), properties);
        match self.publishes.get_mut(index) {
            Some(slot) => slot.set(published),
            None => self.publishes.push(ReusableBoxFuture::new(published)),
        }
        let slot = &mut self.publishes[index];
        // lapin queues the message in the first poll. It cannot be confirmed so soon, and nobody is to be woken.
        if let Poll::Ready(ended) = slot.poll(&mut Context::from_waker(Waker::noop())) {
            // A channel that has ended.
            slot.set(std::future::ready(ended));
        }
    }
}

impl Chunk {
    /// Hands all of `messages` to lapin, in order, each with its target.
    pub fn send<'a>(mut lane: Lane, messages: impl Iterator<Item = (Target<'a>, &'a Message)>) -> Self {
        let mut count = 0;
        for (target, message) in messages {
            lane.publish(count, target, message);
            count += 1;
        }
        Self { lane, count }
    }

    /// One confirm for each message, when the broker has decided on all, and the lane; `decided` grows with each.
    pub async fn confirmed(
        mut self,
        connection: &AmqpConnection,
        decided: &AtomicU64,
    ) -> (Decided<Vec<Confirm>>, Lane) {
        let slow = |_| Unconfirmed::Expired { is_silent: false };
        let confirming = self.confirmed_in_order(connection, decided);
        let confirms = in_time((connection, decided), CHUNK_TIMEOUT_IN_ALL, confirming).await;
        (confirms.map_err(slow).flatten(), self.lane)
    }

    /// A queue confirms in order, so messages are waited for in order too: that wakes nobody for those that are decided meanwhile.
    async fn confirmed_in_order(&mut self, connection: &AmqpConnection, decided: &AtomicU64) -> Decided<Vec<Confirm>> {
        let (mut confirms, mut returned) = (Vec::with_capacity(self.count), Vec::new());
        for published in &mut self.lane.publishes[..self.count] {
            let expired = |quiet| Unconfirmed::Expired { is_silent: quiet >= SILENCE };
            let confirm = match in_time((connection, decided), CHUNK_TIMEOUT, published).await.map_err(expired)?? {
                Confirmation::Ack(message) => {
                    returned.extend(message);
                    Confirm::Confirmed
                }
                Confirmation::Nack(message) => {
                    returned.extend(message);
                    Confirm::Refused("RabbitMQ refused the message: the queue is full or about to stop".into())
                }
                Confirmation::NotRequested => return Err(foreign().into()),
            };
            decided.fetch_add(1, Ordering::Relaxed);
            confirms.push(confirm);
        }
        // lapin gives a returned message to any of the confirms of its channel, so the message says which it is.
        for message in returned {
            let index = message::returned_index(&message.delivery.data);
            let confirm = index.and_then(|index| confirms.get_mut(index));
            *confirm.ok_or_else(foreign)? = Confirm::Unroutable;
        }
        Ok(confirms)
    }
}

/// The broker has said something that belongs to none of the messages.
fn foreign() -> lapin::Error {
    lapin::ErrorKind::FutureCompleted.into()
}

/// Waits for a decision of the broker, not longer than `timeout`. `Err`: for how long it had decided on nothing at all.
async fn in_time<T>(
    on: (&AmqpConnection, &AtomicU64),
    timeout: Duration,
    decision: impl Future<Output = T>,
) -> std::result::Result<T, Duration> {
    tokio::select! {
        biased;
        decision = decision => Ok(decision),
        quiet = time_to_confirm(on, timeout) => Err(quiet),
    }
}

/// Ends when the broker has had so long, and answers for how long `decided` has not grown. A broker that takes no publishes is well
/// and confirms nothing, so only the seconds that begin while it takes some are counted.
async fn time_to_confirm((connection, decided): (&AmqpConnection, &AtomicU64), timeout: Duration) -> Duration {
    const SECOND: Duration = Duration::from_secs(1);
    let (mut quiet, mut before) = (Duration::ZERO, decided.load(Ordering::Relaxed));
    for _ in 0..timeout.as_secs() {
        // The failure of the connection reaches the chunk through lapin.
        _ = connection.ready_to_publish().await;
        tokio::time::sleep(SECOND).await;
        let now = decided.load(Ordering::Relaxed);
        quiet = if now == before { quiet + SECOND } else { Duration::ZERO };
        before = now;
    }
    quiet
}

async fn publish(
    channel: Arc<Channel>,
    exchange: ShortString,
    routing_key: ShortString,
    body: bytes::Bytes,
    properties: BasicProperties,
) -> lapin::Result<Confirmation> {
    let mandatory = BasicPublishOptions { mandatory: true, immediate: false };
    channel.basic_publish(exchange, routing_key, mandatory, &body, properties).await?.await
}

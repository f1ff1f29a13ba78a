//! Publishes batches and waits for their confirms, in bounded time whatever the broker does.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use paceline_core::clock::SharedClock;
use paceline_core::ports::broker::{Confirm, Message};
use paceline_core::{Error, Result};
use tokio::sync::oneshot;

use super::config::Endpoint;
use super::message::{self, Target};
use super::topology;
use super::wire::{Channel, Connection, Exception, requests};
use crate::link::{Epoch, Link};

/// The longest that a publish takes, connecting included.
const PUBLISH_TIMEOUT: Duration = Duration::from_secs(10);
/// The broker serves each channel on its own core; more than a few bring nothing.
const CHANNELS: usize = 4;
/// How many messages of a batch go to one channel at a time.
const CHUNK_MESSAGES: usize = 256;

pub struct Publisher {
    endpoint: Endpoint,
    ca_file: Option<PathBuf>,
    exchange: String,
    link: Link<Publishing>,
}

/// One epoch: a connection with the exchange declared and its channels in confirm mode.
struct Publishing {
    connection: Connection,
    channels: Vec<Channel>,
    next: AtomicUsize,
}

impl Epoch for Publishing {
    fn failure(&self) -> Option<Error> {
        self.connection.failure()
    }
}

impl Publisher {
    pub fn new(endpoint: Endpoint, ca_file: Option<PathBuf>, exchange: String, clock: SharedClock) -> Self {
        Self { endpoint, ca_file, exchange, link: Link::new(clock) }
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
        let late =
            || Error::unavailable(format!("no connection to RabbitMQ at {} within {PUBLISH_TIMEOUT:?}", self.endpoint));
        let epoch = tokio::time::timeout_at(deadline, self.epoch()).await.map_err(|_| late())??;
        let published = tokio::time::timeout_at(deadline, epoch.publish(target, batch)).await;
        published.unwrap_or_else(|_| Err(epoch.overdue(&self.endpoint)))
    }

    /// How often the connection was replaced.
    /// Why RabbitMQ takes no publishes now, as it told the connection that is open.
    pub fn blocked(&self) -> Option<String> {
        self.link.current()?.connection.blocked()
    }

    pub fn rebuilt(&self) -> u64 {
        self.link.rebuilt()
    }

    async fn epoch(&self) -> Result<std::sync::Arc<Publishing>> {
        self.link.get(async || self.open().await).await
    }

    async fn open(&self) -> Result<Publishing> {
        let connection = Connection::open(&self.endpoint, self.ca_file.as_deref(), "paceline publisher").await?;
        let mut channels = Vec::with_capacity(CHANNELS);
        for _ in 0..CHANNELS {
            let (channel, _nothing_is_delivered) = connection.channel().await?;
            channel.request(requests::confirm_select)?.await?;
            channels.push(channel);
        }
        topology::declare_exchange(&channels[0], &self.exchange).await?;
        Ok(Publishing { connection, channels, next: AtomicUsize::new(0) })
    }
}

// === impl Publishing ===

impl Publishing {
    async fn publish(&self, target: Target<'_>, batch: &[Message]) -> Result<Vec<Confirm>> {
        let mut waiting = Vec::with_capacity(batch.len().div_ceil(CHUNK_MESSAGES));
        for chunk in batch.chunks(CHUNK_MESSAGES) {
            self.connection.ready_to_publish().await?;
            let channel = &self.channels[self.next.fetch_add(1, Ordering::Relaxed) % self.channels.len()];
            waiting.push((channel, send(channel, target, chunk).map_err(|e| self.give_up(e))?));
        }
        let mut confirms = vec![Confirm::Confirmed; batch.len()];
        for (confirms, (channel, answer)) in confirms.chunks_mut(CHUNK_MESSAGES).zip(waiting) {
            let exceptions = answer.await.map_err(|_| self.give_up(channel.failure()))?;
            for (index, exception) in exceptions {
                confirms[index] = confirm(exception);
            }
        }
        Ok(confirms)
    }

    /// A channel that failed takes the epoch with it: the next publish builds all of it anew.
    fn give_up(&self, error: Error) -> Error {
        self.connection.fail(error.clone());
        Error::unavailable(format!("the publish is not confirmed: {error}"))
    }

    fn overdue(&self, endpoint: &Endpoint) -> Error {
        match self.connection.blocked() {
            // The broker is well and says so: the connection stays.
            Some(reason) => Error::unavailable(format!("RabbitMQ at {endpoint} takes no publishes now: {reason}")),
            None => self.give_up(Error::unavailable(format!(
                "RabbitMQ at {endpoint} did not confirm within {PUBLISH_TIMEOUT:?}"
            ))),
        }
    }
}

fn send(
    channel: &Channel,
    target: Target<'_>,
    chunk: &[Message],
) -> Result<oneshot::Receiver<Vec<(usize, Exception)>>> {
    let begin = message::publish_frame(channel, target);
    channel.publish(chunk.len(), |index, tag, out| {
        out.extend_from_slice(&begin);
        message::put(out, channel, tag, &chunk[index], target.reason);
    })
}

fn confirm(exception: Exception) -> Confirm {
    match exception {
        Exception::Returned => Confirm::Unroutable,
        Exception::Nacked => {
            Confirm::Refused("RabbitMQ refused the message: the queue is full or about to stop".into())
        }
    }
}

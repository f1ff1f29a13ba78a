//! Publishes batches and waits for their confirms, in bounded time whatever the broker does.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lapin::options::ConfirmSelectOptions;
use paceline_core::clock::SharedClock;
use paceline_core::ports::broker::{Confirm, Message};
use paceline_core::{Error, Result};
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinSet;

use super::chunk::{Chunk, Exceptions, chunks};
use super::config::Endpoint;
use super::connection::{Connection, locked};
use super::message::{self, Target};
use super::topology;
use crate::link::{Epoch, Link};

/// The longest that a publish takes, connecting included.
const PUBLISH_TIMEOUT: Duration = Duration::from_secs(10);
/// Each channel carries one chunk at a time; so many chunks are on their way at once, and the broker serves each on its own core.
const CHANNELS: usize = 8;

pub struct Publisher {
    endpoint: Endpoint,
    ca_file: Option<PathBuf>,
    exchange: String,
    link: Link<Publishing>,
}

/// One epoch: a connection with the exchange declared and its channels in confirm mode.
struct Publishing {
    connection: Connection,
    channels: Arc<Channels>,
    /// Each waits for the confirms of a chunk, also after its publisher has given up; then its channel is free.
    confirming: Mutex<JoinSet<()>>,
}

struct Channels {
    free: Mutex<Vec<Arc<lapin::Channel>>>,
    /// As many as there are free ones.
    permits: Arc<Semaphore>,
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

    /// Why RabbitMQ takes no publishes now, as it told the connection that is open.
    pub fn blocked(&self) -> Option<String> {
        self.link.current()?.connection.blocked()
    }

    /// How often the connection was replaced.
    pub fn rebuilt(&self) -> u64 {
        self.link.rebuilt()
    }

    async fn epoch(&self) -> Result<Arc<Publishing>> {
        self.link.get(async || self.open().await).await
    }

    async fn open(&self) -> Result<Publishing> {
        let connection = Connection::open(&self.endpoint, self.ca_file.as_deref(), "paceline publisher").await?;
        let mut free = Vec::with_capacity(CHANNELS);
        for _ in 0..CHANNELS {
            let channel = connection.channel().await?;
            connection.request(channel.confirm_select(ConfirmSelectOptions::default())).await?;
            free.push(Arc::new(channel));
        }
        connection.request(topology::declare_exchange(&free[0], &self.exchange)).await?;
        let channels = Channels { free: Mutex::new(free), permits: Arc::new(Semaphore::new(CHANNELS)) };
        Ok(Publishing { connection, channels: Arc::new(channels), confirming: Mutex::default() })
    }
}

// === impl Publishing ===

impl Publishing {
    async fn publish(&self, target: Target<'_>, batch: &[Message]) -> Result<Vec<Confirm>> {
        let mut waiting = Vec::new();
        for messages in chunks(batch) {
            self.connection.ready_to_publish().await?;
            waiting.push((messages.len(), self.send(target, messages).await));
        }
        let mut confirms = Vec::with_capacity(batch.len());
        for (count, answer) in waiting {
            let gone = || Err(lapin::ErrorKind::InvalidChannel(0).into());
            let exceptions = answer.await.unwrap_or_else(|_| gone());
            let exceptions = exceptions.map_err(|error| self.give_up(self.connection.explain(&error)))?;
            let first = confirms.len();
            confirms.resize(first + count, Confirm::Confirmed);
            for (index, exception) in exceptions {
                confirms[first + index] = exception;
            }
        }
        Ok(confirms)
    }

    /// Sends a chunk on a channel that has nothing else on its way, since lapin does not say which of several confirms a returned
    /// message belongs to.
    async fn send(&self, target: Target<'_>, messages: &[Message]) -> oneshot::Receiver<lapin::Result<Exceptions>> {
        let permit = self.channels.permits.clone().acquire_owned().await.expect("the semaphore is never closed");
        let channel = locked(&self.channels.free).pop().expect("a permit is a free channel");
        let chunk = Chunk::send(&channel, target, messages);
        let (answer, receiver) = oneshot::channel();
        let channels = self.channels.clone();
        let mut confirming = locked(&self.confirming);
        while confirming.try_join_next().is_some() {}
        confirming.spawn(async move {
            let exceptions = chunk.confirmed().await;
            // Before the answer: who publishes the next chunk finds it.
            locked(&channels.free).push(channel);
            drop(permit);
            // The publisher may have given up.
            _ = answer.send(exceptions);
        });
        receiver
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

//! A connection, one epoch of it: lapin's, without its recovery. It lives once; when it fails, all of it has failed.
//!
//! lapin reads and writes on a thread of its own. What is added here: limits on every wait, the reason of a failure for everybody
//! who asks, the broker's word that it takes no publishes, and an end that comes whatever the broker does. [`handshake`] opens,
//! [`keeper`] watches, [`acker`] acknowledges, and all of them share one [`State`].

use std::future::Future;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use paceline_core::error::codes;
use paceline_core::{Error, Result};
use tokio::task::JoinSet;

use super::acker::{self, Acker};
use super::declared::Declared;
use super::endpoint::Endpoint;
use super::handshake::{self, Opened};
use super::lease::ChannelLease;
use super::limits::REQUEST_TIMEOUT;
use super::methods::Greeting;
use super::names::QueueNames;
use super::priority::Places;
use super::state::State;
use super::{errors, keeper, topology};

/// lapin 4.12 answers the opening of a channel with the error by which the broker closed an earlier one of the same number, and never
/// uses that number again. Paceline then asks lapin for another channel. When one in so many of all numbers is spoilt, Paceline
/// replaces the connection, with every consumer on it, while there is still room for them.
const STALE_NUMBERS_SHARE: usize = 2;
/// When no number is free, one spoilt number in so many is enough.
const STALE_NUMBERS_SHARE_FULL: usize = 8;

/// Closes, in good order, when it is dropped.
pub struct AmqpConnection {
    lapin: Arc<lapin::Connection>,
    state: Arc<State>,
    tasks: JoinSet<()>,
    greeting: Arc<OnceLock<Greeting>>,
    declared: Declared,
    places: Places,
    /// Numbers of channels that lapin never uses again.
    stale_numbers: AtomicUsize,
}

impl AmqpConnection {
    pub async fn open(endpoint: &Endpoint, ca_file: Option<&Path>, name: &str, timeout: Duration) -> Result<Self> {
        let Opened { lapin, greeting, end } = handshake::open(endpoint, ca_file, name, timeout).await?;
        let state = Arc::new(State::new(endpoint.to_string()));
        let mut tasks = JoinSet::new();
        // It ends the socket when it ends.
        tasks.spawn(keeper::run(lapin.clone(), state.clone(), end));
        tasks.spawn(acker::run(state.acking.clone()));
        let (declared, places, stale_numbers) = Default::default();
        Ok(Self { lapin, state, tasks, greeting, declared, places, stale_numbers })
    }

    /// Opens a channel.
    pub async fn channel(&self) -> Result<lapin::Channel> {
        loop {
            let opened = tokio::time::timeout(REQUEST_TIMEOUT, self.lapin.create_channel()).await;
            let error = match opened.map_err(|_| self.state.overdue())? {
                Ok(channel) => return Ok(channel),
                Err(error) => error,
            };
            // No broker answers an open with such an error: it is that of an earlier channel, see `STALE_NUMBERS_SHARE`.
            let is_stale = error.is_amqp_soft_error();
            if self.is_worn(&error, is_stale) {
                let worn = errors::connection_lost(&self.state.label, "the broker closed too many of its channels");
                self.fail(worn.clone());
                return Err(worn);
            }
            if !is_stale {
                return Err(self.state.explain(&error));
            }
        }
    }

    /// Counts the number that `error` spoils, if it is stale. True when too many of all numbers are spoilt.
    fn is_worn(&self, error: &lapin::Error, is_stale: bool) -> bool {
        let numbers = usize::from(self.lapin.configuration().channel_max());
        let stale = self.stale_numbers.fetch_add(usize::from(is_stale), Ordering::Relaxed) + usize::from(is_stale);
        // lapin counts the spoilt ones as open.
        match error.kind() {
            lapin::ErrorKind::ChannelsLimitReached => stale * STALE_NUMBERS_SHARE_FULL >= numbers,
            _ => is_stale && stale * STALE_NUMBERS_SHARE >= numbers,
        }
    }

    /// A channel for a short while: one that was handed back, or a new one.
    pub async fn lease(&self) -> Result<ChannelLease> {
        let channel = match self.state.take_free() {
            Some(channel) => channel,
            None => self.channel().await?,
        };
        Ok(ChannelLease::new(self.state.clone(), channel))
    }

    /// Waits for the answer to a request, in bounded time.
    pub async fn request<T>(&self, answer: impl Future<Output = lapin::Result<T>>) -> Result<T> {
        self.state.request(answer).await
    }

    /// Declares everything of a (queue, group) unless that was done a moment ago.
    pub async fn declare(&self, names: &QueueNames) -> Result<()> {
        let declaring = self.declared.ensure(names, async || {
            let channel = self.lease().await?;
            let declared = channel.request(topology::declare(&channel, names)).await;
            channel.discard();
            declared
        });
        // A caller that waits for another's declaration waits no longer than for one of its own.
        tokio::time::timeout(REQUEST_TIMEOUT, declaring).await.unwrap_or_else(|_| Err(self.state.overdue()))
    }

    /// Words for messages that the broker has not confirmed in all that time.
    pub fn unconfirmed(&self, waited: Duration) -> Error {
        let (label, seconds) = (&self.state.label, waited.as_secs());
        Error::unavailable(format!("RabbitMQ at {label} did not confirm some messages within {seconds} s"))
            .coded(codes::PUBLISH_NOT_CONFIRMED)
    }

    pub fn declared(&self) -> &Declared {
        &self.declared
    }

    pub fn places(&self) -> &Places {
        &self.places
    }

    /// Settles the deliveries of `channel` for a consumer with `prefetch`.
    pub fn acker(&self, channel: lapin::Channel, prefetch: u16) -> Acker {
        Acker::new(self.state.acking.clone(), channel, prefetch)
    }

    /// The reason of the connection's end; `None` while the connection is of use.
    pub fn failure(&self) -> Option<Error> {
        let known = self.state.failure.borrow().clone();
        // lapin knows first; its reason comes with the event.
        known.or_else(|| {
            (!self.lapin.status().connected()).then(|| errors::connection_lost(&self.state.label, "it ended"))
        })
    }

    /// Gives up on the connection, for the owner's reason.
    pub fn fail(&self, error: Error) {
        self.state.fail(error);
    }

    /// The reason for which the broker takes no publishes now, if there is one.
    pub fn blocked(&self) -> Option<String> {
        let reason = self.state.blocked.borrow().clone();
        // lapin knows first; the reason comes with the event.
        reason.or_else(|| self.lapin.status().blocked().then(|| "it has not said why".to_owned()))
    }

    /// Waits until the broker takes publishes.
    pub async fn ready_to_publish(&self) -> Result<()> {
        let mut blocked = self.state.blocked.subscribe();
        // The sender lives in `State`, so the wait ends only when the broker unblocks or the connection fails.
        _ = blocked.wait_for(Option::is_none).await;
        self.failure().map_or(Ok(()), Err)
    }

    /// Words for an error of lapin on this connection.
    pub fn explain(&self, error: &lapin::Error) -> Error {
        self.state.explain(error)
    }

    /// `host:port` of the node at the other end.
    pub fn node(&self) -> &str {
        &self.state.label
    }

    /// The broker's product and version, such as `RabbitMQ 3.10.8`.
    pub fn server(&self) -> &str {
        self.greeting.get().map_or("AMQP broker", |greeting| &greeting.product)
    }

    /// The cluster of the node, by its own word.
    pub fn cluster(&self) -> Option<&str> {
        self.greeting.get()?.cluster.as_deref()
    }
}

impl Drop for AmqpConnection {
    fn drop(&mut self) {
        self.state.closing.notify_one();
        // The tasks send the acks that wait, say goodbye, and end within a bounded time.
        self.tasks.detach_all();
    }
}

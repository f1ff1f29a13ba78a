//! A connection: two tasks on one socket, and the channels that share it. It lives once; when it fails, all of it has failed.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use bytes::BytesMut;
use paceline_core::{Error, Result};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use super::channel::{Channel, ChannelState, Deliveries};
use super::handshake::{Agreed, Handshake};
use super::reader::{self, Entry};
use super::{locked, requests, transport, writer};
use crate::rabbitmq::config::Endpoint;

/// The longest that connecting, logging in and opening the vhost may take together.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How much may wait to be written before publishers wait too.
const OUTBOX_BYTES_MAX: usize = 1024 * 1024;

/// Closes, in good order, when it is dropped.
pub struct Connection {
    shared: Arc<Shared>,
    tasks: JoinSet<()>,
    server: String,
}

/// What the tasks and the channels of a connection share.
pub struct Shared {
    /// `host:port`, for messages.
    pub label: String,
    pub frame_bytes_max: usize,
    pub channels_max: u16,
    /// What the writing task will write next.
    pub outbox: Mutex<Vec<u8>>,
    /// Wakes the writing task.
    pub wake: Notify,
    /// Tells publishers that the outbox has room.
    pub room: Notify,
    /// By channel number; 0 is the connection itself. Locked before any lock of a channel.
    pub channels: Mutex<Vec<Option<Entry>>>,
    /// Channels with enough settled deliveries for an ack.
    pub acks_due: Mutex<Vec<Arc<ChannelState>>>,
    /// Channels with settled deliveries that wait a little for more.
    pub acks_waiting: Mutex<Vec<Arc<ChannelState>>>,
    /// Why the broker takes no publishes now.
    pub blocked: watch::Sender<Option<String>>,
    pub is_closing: AtomicBool,
    pub ended: watch::Sender<bool>,
    failure: OnceLock<Error>,
}

impl Connection {
    pub async fn open(endpoint: &Endpoint, ca_file: Option<&Path>, name: &str) -> Result<Self> {
        let opened = tokio::time::timeout(CONNECT_TIMEOUT, Self::open_unbounded(endpoint, ca_file, name)).await;
        let silent = || {
            Error::unavailable(format!("RabbitMQ at {endpoint} did not answer within {} s", CONNECT_TIMEOUT.as_secs()))
        };
        opened.map_err(|_| silent())?
    }

    async fn open_unbounded(endpoint: &Endpoint, ca_file: Option<&Path>, name: &str) -> Result<Self> {
        let (mut input, mut output) = transport::connect(endpoint, ca_file).await?;
        let mut handshake = Handshake { endpoint, input: &mut input, output: &mut output, received: BytesMut::new() };
        let Agreed { channels_max, frame_bytes_max, heartbeat_s, server } = handshake.run(name).await?;
        let received = handshake.received;
        let shared = Arc::new(Shared {
            label: endpoint.to_string(),
            frame_bytes_max,
            channels_max,
            outbox: Mutex::default(),
            wake: Notify::new(),
            room: Notify::new(),
            channels: Mutex::new(vec![None]),
            acks_due: Mutex::default(),
            acks_waiting: Mutex::default(),
            blocked: watch::Sender::new(None),
            is_closing: AtomicBool::new(false),
            ended: watch::Sender::new(false),
            failure: OnceLock::new(),
        });
        let heartbeat = Duration::from_secs(u64::from(heartbeat_s));
        let mut tasks = JoinSet::new();
        tasks.spawn(reader::run(shared.clone(), input, received, heartbeat));
        tasks.spawn(writer::run(shared.clone(), output, heartbeat));
        Ok(Self { shared, tasks, server })
    }

    /// Opens a channel, with the stream of what is delivered on it.
    pub async fn channel(&self) -> Result<(Channel, Deliveries)> {
        let (channel, deliveries) = Channel::register(&self.shared)?;
        channel.request(requests::channel_open)?.await?;
        Ok((channel, deliveries))
    }

    /// Why the connection is of no use any more; `None` while it is.
    pub fn failure(&self) -> Option<Error> {
        self.shared.failure.get().cloned()
    }

    /// Gives up on the connection, for the owner's reason.
    pub fn fail(&self, error: Error) {
        self.shared.fail(error);
    }

    /// Why the broker takes no publishes now, if so.
    pub fn blocked(&self) -> Option<String> {
        self.shared.blocked.borrow().clone()
    }

    /// Waits until the broker takes publishes and there is room to write more of them.
    pub async fn ready_to_publish(&self) -> Result<()> {
        let mut blocked = self.shared.blocked.subscribe();
        // The sender lives in `shared`, so the wait ends only when the broker unblocks or the connection fails.
        _ = blocked.wait_for(Option::is_none).await;
        loop {
            let room = self.shared.room.notified();
            tokio::pin!(room);
            // From here on a notification is not missed.
            room.as_mut().enable();
            if let Some(failure) = self.failure() {
                return Err(failure);
            }
            if locked(&self.shared.outbox).len() < OUTBOX_BYTES_MAX {
                return Ok(());
            }
            room.await;
        }
    }

    /// The broker's product and version.
    pub fn server(&self) -> &str {
        &self.server
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.shared.is_closing.store(true, Ordering::Release);
        self.shared.wake.notify_one();
        // They write what is left, say goodbye, and end within a bounded time.
        self.tasks.detach_all();
    }
}

impl Shared {
    /// Appends frames and has them written.
    pub fn send(&self, put: impl FnOnce(&mut Vec<u8>)) {
        put(&mut locked(&self.outbox));
        self.wake.notify_one();
    }

    pub fn failure(&self) -> Error {
        self.failure
            .get()
            .cloned()
            .unwrap_or_else(|| Error::unavailable(format!("the connection to RabbitMQ at {} is closing", self.label)))
    }

    pub async fn until_ended(&self) {
        let mut ended = self.ended.subscribe();
        // The sender lives as long as `self`, so the wait cannot fail.
        _ = ended.wait_for(|ended| *ended).await;
    }

    pub fn has_ended(&self) -> bool {
        *self.ended.borrow()
    }

    /// The end: tells every channel, and everybody who waits. Only the first reason counts.
    pub fn fail(&self, error: Error) {
        if self.failure.set(error.clone()).is_ok() && !self.is_closing.load(Ordering::Acquire) {
            tracing::warn!(broker = %self.label, reason = %error, "the connection to RabbitMQ is lost");
        }
        let entries = std::mem::take(&mut *locked(&self.channels));
        for entry in entries.into_iter().flatten() {
            entry.state.close(&error);
        }
        self.ended.send_replace(true);
        self.blocked.send_replace(None);
        self.room.notify_waiters();
        self.wake.notify_one();
    }
}

//! A connection, one epoch of it: lapin's, without its recovery. It lives once; when it fails, all of it has failed.
//!
//! lapin reads and writes on a thread of its own. What is added here: limits on every wait, the reason of a failure for everybody
//! who asks, the broker's word that it takes no publishes, and an end that comes whatever the broker does.

use std::future::Future;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use async_rs::Runtime;
use futures::StreamExt as _;
use lapin::types::ChannelId;
use lapin::uri::{AMQPAuthority, AMQPQueryString, AMQPScheme, AMQPUri, AMQPUserInfo};
use lapin::{AsyncTcpStream, ConnectionProperties, Event};
use paceline_core::{Error, Result};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use super::acker::{self, Acker, Acking};
use super::endpoint::Endpoint;
use super::guard::{Greeting, Guard};
use super::lock::locked;
use super::priority::Places;
use super::socket::{self, Cut, Socket};
use super::topology::Declared;
use super::{errors, transport};

/// The longest that connecting, logging in and opening the vhost may take together.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest that the broker may take to answer a request.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection that is closed waits for the broker's goodbye.
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(2);
/// What both sides agree on at most: we take a broker for dead after two of them without a byte, and RabbitMQ us after two to
/// three. So what a worker held that was stopped or cut off goes to others after 6 to 9 s.
pub const HEARTBEAT_S: u16 = 3;
const CHANNELS_MAX: ChannelId = 2047;
/// lapin 4.12 answers the opening of a channel with the error by which the broker closed an earlier one of the same number, and never
/// uses that number again. We then ask lapin for another channel. When one in so many of all numbers is spoilt, we replace the
/// connection, with every consumer on it, while there is still room for them.
const STALE_NUMBERS_SHARE: usize = 2;
/// When no number is free, one spoilt number in so many is enough.
const STALE_NUMBERS_SHARE_FULL: usize = 8;
/// lapin queues a heartbeat every 1.5 s for a broker that blocks publishers, and sends none: the connection is replaced after an hour.
const BLOCKED_MAX: Duration = Duration::from_secs(60 * 60);
/// How many channels for short use are kept.
const FREE_CHANNELS_MAX: usize = 8;
/// RabbitMQ's own limit. lapin has two buffers of 32 frames, so more would cost memory.
const FRAME_BYTES_MAX: u32 = 128 * 1024;

/// Closes, in good order, when it is dropped.
pub struct Connection {
    lapin: Arc<lapin::Connection>,
    shared: Arc<Shared>,
    tasks: JoinSet<()>,
    server: Arc<OnceLock<Greeting>>,
    declared: Declared,
    places: Places,
}

/// What a connection, its channels and its tasks share.
pub struct Shared {
    /// `host:port`, for messages.
    pub label: String,
    pub acking: Acking,
    /// Why the broker takes no publishes now.
    blocked: watch::Sender<Option<String>>,
    failure: watch::Sender<Option<Error>>,
    closing: Notify,
    stale_numbers: AtomicUsize,
    /// Open, and in nobody's hands.
    free: Mutex<Vec<lapin::Channel>>,
}

/// A channel in one hand. It is kept for the next if it is still open, since a question about a queue that is not there closes it, and
/// if nothing is left to be answered on it: a late answer would be taken for that of the next question.
pub struct Lease {
    shared: Arc<Shared>,
    channel: lapin::Channel,
    unanswered: AtomicUsize,
    is_used_up: bool,
}

impl Lease {
    /// Closes the channel: lapin keeps every binding that is made on a channel for as long as the channel lives.
    pub fn discard(mut self) {
        self.is_used_up = true;
    }

    pub async fn request<T>(&self, answer: impl Future<Output = lapin::Result<T>>) -> Result<T> {
        let answer = async {
            self.unanswered.fetch_add(1, Ordering::Relaxed);
            let answered = answer.await;
            self.unanswered.fetch_sub(1, Ordering::Relaxed);
            answered
        };
        self.shared.request(answer).await
    }
}

impl std::ops::Deref for Lease {
    type Target = lapin::Channel;

    fn deref(&self) -> &lapin::Channel {
        &self.channel
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut free = locked(&self.shared.free);
        let is_clean = *self.unanswered.get_mut() == 0 && !self.is_used_up;
        if is_clean && self.channel.status().connected() && free.len() < FREE_CHANNELS_MAX {
            free.push(self.channel.clone());
        } else {
            // Not by the drop alone: what is unanswered holds the channel too.
            acker::send_now(self.channel.close(200, "done".into()));
        }
    }
}

/// Ends the socket of a connection that nobody waits for any more.
struct CutOnDrop(Arc<Cut>);

impl Drop for CutOnDrop {
    fn drop(&mut self) {
        self.0.cut("it was given up");
    }
}

impl Connection {
    pub async fn open(endpoint: &Endpoint, ca_file: Option<&Path>, name: &str, timeout: Duration) -> Result<Self> {
        // Boxed, since lapin's future would make every caller's a large one.
        let opening = Box::pin(Self::open_unbounded(endpoint, ca_file, name));
        let opened = tokio::time::timeout(timeout, opening).await;
        let silent =
            || Error::unavailable(format!("RabbitMQ at {endpoint} did not answer within {} s", timeout.as_secs()));
        opened.map_err(|_| silent())?
    }

    async fn open_unbounded(endpoint: &Endpoint, ca_file: Option<&Path>, name: &str) -> Result<Self> {
        let transport = transport::connect(endpoint, ca_file).await?;
        let (server, cut) = (Arc::new(OnceLock::new()), Arc::new(Cut::default()));
        let guard = Guard::new(FRAME_BYTES_MAX as usize, server.clone());
        let fresh = Mutex::new(Some(Socket::new(transport, guard, cut.clone())));
        // Until it is open, whoever gives up waiting ends it.
        let given_up = CutOnDrop(cut);
        let connect = async move |_, _| {
            let fresh = locked(&fresh).take();
            // lapin would try again where its options say so. They do not, and a socket lives once.
            fresh
                .map(AsyncTcpStream::Plain)
                .ok_or_else(|| std::io::Error::from(std::io::ErrorKind::NotConnected).into())
        };
        let opened =
            lapin::Connection::connector(uri(endpoint), Runtime::new(socket::kit()), connect, properties(name));
        let lapin = Arc::new(opened.await.map_err(|error| errors::not_opened(endpoint, &error))?);
        let shared = Arc::new(Shared::new(endpoint.to_string()));
        let mut tasks = JoinSet::new();
        // It ends the socket when it ends.
        tasks.spawn(keep(lapin.clone(), shared.clone(), given_up));
        tasks.spawn(acker::run(shared.clone()));
        Ok(Self { lapin, shared, tasks, server, declared: Declared::default(), places: Places::default() })
    }

    /// Opens a channel.
    pub async fn channel(&self) -> Result<lapin::Channel> {
        loop {
            let opened = tokio::time::timeout(REQUEST_TIMEOUT, self.lapin.create_channel()).await;
            let error = match opened.map_err(|_| self.shared.overdue())? {
                Ok(channel) => return Ok(channel),
                Err(error) => error,
            };
            // No broker answers an open with such an error: it is that of an earlier channel, see `STALE_NUMBERS_SHARE`.
            let (is_stale, numbers) =
                (error.is_amqp_soft_error(), usize::from(self.lapin.configuration().channel_max()));
            let stale =
                self.shared.stale_numbers.fetch_add(usize::from(is_stale), Ordering::Relaxed) + usize::from(is_stale);
            // lapin counts the spoilt ones as open.
            let is_full = matches!(error.kind(), lapin::ErrorKind::ChannelsLimitReached);
            let is_worn = match is_full {
                true => stale * STALE_NUMBERS_SHARE_FULL >= numbers,
                false => is_stale && stale * STALE_NUMBERS_SHARE >= numbers,
            };
            if !is_stale && !is_worn {
                return Err(self.shared.explain(&error));
            }
            if is_worn {
                let worn = errors::connection_lost(&self.shared.label, "the broker closed too many of its channels");
                self.fail(worn.clone());
                return Err(worn);
            }
        }
    }

    /// A channel for a short while: one that was handed back, or a new one.
    pub async fn lease(&self) -> Result<Lease> {
        let kept = {
            let mut free = locked(&self.shared.free);
            free.retain(|channel| channel.status().connected());
            free.pop()
        };
        let channel = match kept {
            Some(channel) => channel,
            None => self.channel().await?,
        };
        Ok(Lease { shared: self.shared.clone(), channel, unanswered: AtomicUsize::new(0), is_used_up: false })
    }

    /// Waits for the answer to a request, in bounded time.
    pub async fn request<T>(&self, answer: impl Future<Output = lapin::Result<T>>) -> Result<T> {
        self.shared.request(answer).await
    }

    /// An answer that takes too long.
    pub fn overdue(&self) -> Error {
        self.shared.overdue()
    }

    /// Messages that the broker has not confirmed in all that time.
    pub fn unconfirmed(&self, waited: Duration) -> Error {
        let (label, seconds) = (&self.shared.label, waited.as_secs());
        Error::unavailable(format!("RabbitMQ at {label} did not confirm some messages within {seconds} s"))
    }

    pub fn declared(&self) -> &Declared {
        &self.declared
    }

    pub fn places(&self) -> &Places {
        &self.places
    }

    /// Settles the deliveries of `channel` for a consumer with `prefetch`.
    pub fn acker(&self, channel: lapin::Channel, prefetch: u16) -> Acker {
        Acker::new(self.shared.clone(), channel, prefetch)
    }

    /// Why the connection is of no use any more; `None` while it is.
    pub fn failure(&self) -> Option<Error> {
        let known = self.shared.failure.borrow().clone();
        // lapin knows first; its reason comes with the event.
        known.or_else(|| {
            (!self.lapin.status().connected()).then(|| errors::connection_lost(&self.shared.label, "it ended"))
        })
    }

    /// Gives up on the connection, for the owner's reason.
    pub fn fail(&self, error: Error) {
        self.shared.fail(error);
    }

    /// Why the broker takes no publishes now, if so.
    pub fn blocked(&self) -> Option<String> {
        let reason = self.shared.blocked.borrow().clone();
        // lapin knows first; the reason comes with the event.
        reason.or_else(|| self.lapin.status().blocked().then(|| "it has not said why".to_owned()))
    }

    /// Waits until the broker takes publishes.
    pub async fn ready_to_publish(&self) -> Result<()> {
        let mut blocked = self.shared.blocked.subscribe();
        // The sender lives in `shared`, so the wait ends only when the broker unblocks or the connection fails.
        _ = blocked.wait_for(Option::is_none).await;
        self.failure().map_or(Ok(()), Err)
    }

    /// Words for an error of lapin on this connection.
    pub fn explain(&self, error: &lapin::Error) -> Error {
        self.shared.explain(error)
    }

    /// `host:port` of the node that this is a connection to.
    pub fn node(&self) -> &str {
        &self.shared.label
    }

    /// The broker's product and version, such as `RabbitMQ 3.10.8`.
    pub fn server(&self) -> &str {
        self.server.get().map_or("AMQP broker", |greeting| &greeting.product)
    }

    /// The cluster that the node says it is of.
    pub fn cluster(&self) -> Option<&str> {
        self.server.get()?.cluster.as_deref()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.shared.closing.notify_one();
        // They send the acks that wait, say goodbye, and end within a bounded time.
        self.tasks.detach_all();
    }
}

fn uri(endpoint: &Endpoint) -> AMQPUri {
    let Endpoint { host, port, user, password, vhost, .. } = endpoint;
    AMQPUri {
        scheme: AMQPScheme::AMQP,
        authority: AMQPAuthority {
            userinfo: AMQPUserInfo { username: user.clone(), password: password.clone() },
            host: host.clone(),
            port: *port,
        },
        vhost: vhost.clone(),
        query: AMQPQueryString {
            frame_max: Some(FRAME_BYTES_MAX),
            channel_max: Some(CHANNELS_MAX),
            heartbeat: Some(HEARTBEAT_S),
            ..AMQPQueryString::default()
        },
    }
}

fn properties(connection_name: &str) -> ConnectionProperties {
    ConnectionProperties::default()
        .with_client_property("product".into(), "Paceline".into())
        .with_client_property("version".into(), env!("CARGO_PKG_VERSION").into())
        .with_connection_name(connection_name.into())
}

/// Passes on what happens to the connection, until it has failed or its owner drops it. Then the socket ends.
async fn keep(lapin: Arc<lapin::Connection>, shared: Arc<Shared>, _end: CutOnDrop) {
    let mut events = lapin.events_listener().boxed();
    // What happened before the listener was there.
    if !lapin.status().connected() {
        return shared.fail(errors::connection_lost(&shared.label, "it ended at once"));
    }
    let (mut failed, mut blocked) = (shared.failure.subscribe(), shared.blocked.subscribe());
    loop {
        let event = tokio::select! {
            biased;
            // First: a word of the broker that comes late must not seem to be about a connection that is open.
            () = has_failed(&mut failed) => return,
            event = events.next() => event,
            reason = is_blocked_for_long(&mut blocked) => {
                let minutes = BLOCKED_MAX.as_secs() / 60;
                let reason = format!("it has taken no publishes for {minutes} minutes: {reason}");
                return shared.fail(errors::connection_lost(&shared.label, &reason));
            }
            () = shared.closing.notified() => return say_goodbye(&lapin, &shared).await,
        };
        match event {
            Some(Event::ConnectionBlocked(reason)) => {
                tracing::warn!(broker = %shared.label, %reason, "RabbitMQ takes no publishes for now");
                shared.blocked.send_replace(Some(reason));
            }
            Some(Event::ConnectionUnblocked) => {
                tracing::info!(broker = %shared.label, "RabbitMQ takes publishes again");
                shared.blocked.send_replace(None);
            }
            // The errors of single channels come here too.
            Some(Event::Error(error)) if !lapin.status().connected() => {
                return shared.fail(errors::lost(&shared.label, &error));
            }
            Some(_) => (),
            None => return shared.fail(errors::connection_lost(&shared.label, "it ended")),
        }
    }
}

async fn has_failed(failed: &mut watch::Receiver<Option<Error>>) {
    // The sender lives in `shared`, so the wait cannot fail.
    _ = failed.wait_for(Option::is_some).await;
}

/// The reason, once it has stood for [`BLOCKED_MAX`]. Being asked anew with every event makes that a little longer.
async fn is_blocked_for_long(blocked: &mut watch::Receiver<Option<String>>) -> String {
    loop {
        // The sender lives in `shared`, so no wait fails.
        let reason = blocked.wait_for(Option::is_some).await.ok().and_then(|reason| reason.clone()).unwrap_or_default();
        let unblocked = blocked.wait_for(Option::is_none);
        if tokio::time::timeout(BLOCKED_MAX, unblocked).await.is_err() {
            return reason;
        }
    }
}

async fn say_goodbye(lapin: &lapin::Connection, shared: &Shared) {
    let label = &shared.label;
    shared.acking.close();
    _ = tokio::time::timeout(GOODBYE_TIMEOUT, lapin.close(200, "done".into())).await;
    shared.end(Error::unavailable(format!("the connection to RabbitMQ at {label} was closed")));
}

// === impl Shared ===

impl Shared {
    fn new(label: String) -> Self {
        Self {
            label,
            acking: Acking::default(),
            blocked: watch::Sender::new(None),
            failure: watch::Sender::new(None),
            closing: Notify::new(),
            stale_numbers: AtomicUsize::new(0),
            free: Mutex::default(),
        }
    }

    fn overdue(&self) -> Error {
        let (label, seconds) = (&self.label, REQUEST_TIMEOUT.as_secs());
        Error::unavailable(format!("RabbitMQ at {label} did not answer within {seconds} s"))
    }

    /// Waits for the answer to a request, in bounded time.
    pub async fn request<T>(&self, answer: impl Future<Output = lapin::Result<T>>) -> Result<T> {
        match tokio::time::timeout(REQUEST_TIMEOUT, answer).await {
            Ok(answer) => answer.map_err(|error| self.explain(&error)),
            Err(_) => Err(self.overdue()),
        }
    }

    pub fn explain(&self, error: &lapin::Error) -> Error {
        match (error.kind(), self.failure.borrow().clone()) {
            (lapin::ErrorKind::ChannelsLimitReached, _) => Error::resource_exhausted(format!(
                "the connection to RabbitMQ at {} has all of its channels in use, of which each consumer needs one; start fewer \
                 consumers (--consumers), or raise channel_max in RabbitMQ's configuration",
                self.label
            )),
            // The first reason, not that a request found the connection ended.
            (_, Some(failure)) if !error.is_amqp_error() => failure,
            _ => errors::lost(&self.label, error),
        }
    }

    /// An end that nobody wanted.
    fn fail(&self, error: Error) {
        if self.end(error.clone()) {
            tracing::warn!(broker = %self.label, reason = %error, "the connection to RabbitMQ is lost");
        }
    }

    /// The end, for everybody who waits. Only the first reason counts; false for a later one.
    fn end(&self, error: Error) -> bool {
        let is_first = self.failure.send_if_modified(|failure| {
            let is_first = failure.is_none();
            failure.get_or_insert(error);
            is_first
        });
        self.blocked.send_replace(None);
        self.acking.close();
        locked(&self.free).clear();
        is_first
    }
}

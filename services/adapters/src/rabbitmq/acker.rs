//! Settles the deliveries of a channel, and decides when their acks go out.
//!
//! Every ack is a step of a quorum queue's log in the broker, so acks wait a little for more of their channel: until most of the
//! prefetch is settled (other channels keep the worker busy meanwhile), or for [`ACK_WAIT_MAX`]. One task a connection sends them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures::FutureExt as _;
use lapin::Channel;
use lapin::options::{BasicAckOptions, BasicCancelOptions, BasicNackOptions};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::acks::Acks;
use super::limits::REQUEST_TIMEOUT;
use super::lock::locked;

/// So many acks are due at once, however many more the consumer may hold.
const ACKS_GATHERED_MAX: usize = 128;
/// The longest that acks wait for more of their channel.
const ACK_WAIT_MAX: Duration = Duration::from_millis(50);

/// Settles deliveries of a channel. Once the channel is closed nothing is sent: the broker gives them out again anyway.
#[derive(Clone)]
pub struct Acker {
    acking: Arc<Acking>,
    state: Arc<AckState>,
}

/// The unsettled deliveries of a channel, and the connection's lists that the channel is in.
struct AckState {
    channel: Channel,
    is_closed: AtomicBool,
    settling: Mutex<Settling>,
}

#[derive(Default)]
struct Settling {
    acks: Acks,
    /// The number of settled deliveries with which the acks are due at once.
    due_at: usize,
    is_listed_due: bool,
    is_listed_waiting: bool,
}

/// The channels of a connection with acks to send.
#[derive(Default)]
pub struct Acking {
    /// Channels with enough settled deliveries for an ack.
    due: Mutex<Vec<Arc<AckState>>>,
    /// Channels with settled deliveries that wait a little for more.
    waiting: Mutex<Vec<Arc<AckState>>>,
    wake: Notify,
    is_closed: AtomicBool,
}

/// The reason for which acks are sent now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gathered {
    /// There are enough of them.
    Due,
    /// The acks waited long enough, or the channel closes.
    All,
}

/// Sends the acks of a connection until it closes.
pub async fn run(acking: Arc<Acking>) {
    let waited = tokio::time::sleep(Duration::ZERO);
    tokio::pin!(waited);
    let mut is_waiting = false;
    while !acking.is_closed.load(Ordering::Acquire) {
        acking.send(&acking.due, Gathered::Due);
        if is_waiting && waited.is_elapsed() {
            is_waiting = false;
            acking.send(&acking.waiting, Gathered::All);
        } else if !is_waiting && !locked(&acking.waiting).is_empty() {
            is_waiting = true;
            waited.as_mut().reset(Instant::now() + ACK_WAIT_MAX);
        }
        tokio::select! {
            // Others that are about to settle get their turn first, so that one ack takes it all.
            () = acking.wake.notified() => tokio::task::yield_now().await,
            () = &mut waited, if is_waiting => (),
        }
    }
    locked(&acking.due).clear();
    locked(&acking.waiting).clear();
}

// === impl Acking ===

impl Acking {
    /// Sends what waits, and ends the task.
    pub fn close(&self) {
        self.send(&self.due, Gathered::All);
        self.send(&self.waiting, Gathered::All);
        self.is_closed.store(true, Ordering::Release);
        self.wake.notify_one();
    }

    fn send(&self, list: &Mutex<Vec<Arc<AckState>>>, gathered: Gathered) {
        let channels = std::mem::take(&mut *locked(list));
        channels.iter().for_each(|channel| channel.send(gathered));
    }
}

// === impl Acker ===

impl Acker {
    pub fn new(acking: Arc<Acking>, channel: Channel, prefetch: u16) -> Self {
        let due_at = (usize::from(prefetch) * 4 / 5).clamp(1, ACKS_GATHERED_MAX);
        let settling = Mutex::new(Settling { due_at, ..Settling::default() });
        Self { acking, state: Arc::new(AckState { channel, is_closed: AtomicBool::new(false), settling }) }
    }

    /// The broker handed out `tags`. Every tag of the channel must come here, in order: a cumulative ack speaks for all below it.
    pub fn delivered(&self, tags: impl Iterator<Item = u64>) {
        let mut settling = self.state.settling();
        if !self.state.is_closed.load(Ordering::Acquire) {
            tags.for_each(|tag| settling.acks.delivered(tag));
        }
    }

    pub fn ack(&self, tag: u64) {
        let mut settling = self.state.settling();
        if !settling.acks.settle(tag) {
            return;
        }
        let is_due = settling.acks.settled() >= settling.due_at;
        if !settling.enlist(is_due) {
            return;
        }
        drop(settling);
        let Acking { due, waiting, wake, .. } = &*self.acking;
        let mut list = locked(if is_due { due } else { waiting });
        list.push(self.state.clone());
        // Of those that wait only the first starts the clock.
        if is_due || list.len() == 1 {
            wake.notify_one();
        }
    }

    /// Back to the queue at once.
    pub fn give_back(&self, tag: u64) {
        let mut settling = self.state.settling();
        if settling.acks.forget(tag) && !self.is_closed() {
            // Under the lock: a cumulative ack that is made later must come later.
            let requeue = BasicNackOptions { multiple: false, requeue: true };
            send_now(self.state.channel.basic_nack(tag, requeue));
        }
    }

    pub fn is_closed(&self) -> bool {
        self.state.is_closed.load(Ordering::Acquire) || !self.state.channel.status().connected()
    }

    /// Closes the channel without waiting; what is settled is acknowledged before, and the rest goes back to the queue.
    pub fn close_now(&self) {
        self.state.send(Gathered::All);
        // Under the lock, as every ack: RabbitMQ ends the connection for an ack that comes after the close.
        let mut settling = self.state.settling();
        if !self.state.is_closed.swap(true, Ordering::AcqRel) {
            send_now(self.state.channel.close(200, "done".into()));
        }
        settling.acks.clear();
    }

    /// Ends the channel's consumers, closes it and waits, in bounded time, until the broker has: then it has seen every ack, and put
    /// back the rest.
    ///
    /// A channel of RabbitMQ holds acks back while many of them are on their way to a quorum queue, and forgets those when it
    /// closes. It answers a cancel after the queue has taken what came before, so the close finds nothing held back.
    pub async fn close(&self, consumers: &[&str]) {
        self.state.send(Gathered::All);
        let channel = &self.state.channel;
        let closed = async {
            for consumer in consumers {
                // An error is the channel's end, which is what is wanted.
                _ = channel.basic_cancel((*consumer).into(), BasicCancelOptions::default()).await;
            }
            self.state.send(Gathered::All);
            self.state.close();
            _ = channel.close(200, "done".into()).await;
        };
        // Without an answer the connection is about to fail, which closes the channel as well.
        _ = tokio::time::timeout(REQUEST_TIMEOUT, closed).await;
        self.close_now();
    }
}

// === impl AckState ===

impl AckState {
    fn settling(&self) -> MutexGuard<'_, Settling> {
        locked(&self.settling)
    }

    /// Sends nothing more from here on.
    fn close(&self) {
        let _settling = self.settling();
        self.is_closed.store(true, Ordering::Release);
    }

    /// Acks of a channel are sent under its lock, so that they go out in the order in which they are taken.
    fn send(&self, gathered: Gathered) {
        let mut settling = self.settling();
        settling.unlist(gathered);
        let singles_min = if gathered == Gathered::Due { settling.due_at } else { 1 };
        let is_closed = self.is_closed.load(Ordering::Acquire);
        settling.acks.take(singles_min, |tag, multiple| {
            if !is_closed {
                send_now(self.channel.basic_ack(tag, BasicAckOptions { multiple }));
            }
        });
    }
}

impl Settling {
    /// False if the channel is in the list already.
    fn enlist(&mut self, is_due: bool) -> bool {
        let is_listed = if is_due { &mut self.is_listed_due } else { &mut self.is_listed_waiting };
        !std::mem::replace(is_listed, true)
    }

    fn unlist(&mut self, gathered: Gathered) {
        match gathered {
            Gathered::Due => self.is_listed_due = false,
            Gathered::All => self.is_listed_waiting = false,
        }
    }
}

/// Hands a method to lapin without waiting until it is on the wire. lapin queues it in the first poll, and an error says that the
/// channel is gone, which is no news to anybody.
pub fn send_now(sending: impl Future<Output = lapin::Result<()>>) {
    _ = sending.now_or_never();
}

//! Settles the deliveries of a channel, and decides when the writing task puts their acks on the wire.
//!
//! Every ack is a step of a quorum queue's log in the broker, so acks wait a little for more of their channel: until about half
//! of the prefetch is settled (the other half keeps the consumer busy), or for the writing task's longest wait.

use std::sync::Arc;

use super::acks::Acks;
use super::channel::{ChannelState, REQUEST_TIMEOUT};
use super::connection::Shared;
use super::{locked, requests};

/// So many acks are due at once, however many more the consumer may hold.
const ACKS_GATHERED_MAX: usize = 128;

/// Settles deliveries of a channel. Once the channel is closed nothing is sent: the broker gives them out again anyway.
#[derive(Clone)]
pub struct Acker {
    shared: Arc<Shared>,
    state: Arc<ChannelState>,
}

/// Why acks are written now.
#[derive(Debug, Clone, Copy)]
pub enum Gathered {
    /// There are enough of them.
    Due,
    /// They waited long enough.
    Waited,
    /// The channel closes.
    All,
}

/// The unsettled deliveries of a channel, and in which of the connection's lists it is.
#[derive(Default)]
pub struct Settling {
    acks: Acks,
    /// With so many settled the acks are due at once.
    due_at: usize,
    is_listed_due: bool,
    is_listed_waiting: bool,
    is_closed: bool,
}

impl Acker {
    pub(super) fn new(shared: Arc<Shared>, state: Arc<ChannelState>) -> Self {
        Self { shared, state }
    }

    pub fn ack(&self, tag: u64) {
        let mut settling = locked(&self.state.settling);
        if !settling.acks.settle(tag) {
            return;
        }
        let is_due = settling.is_due();
        if !settling.enlist(is_due) {
            return;
        }
        drop(settling);
        let mut list = locked(if is_due { &self.shared.acks_due } else { &self.shared.acks_waiting });
        list.push(self.state.clone());
        // Of those that wait only the first starts the clock.
        if is_due || list.len() == 1 {
            self.shared.wake.notify_one();
        }
    }

    /// Back to the queue at once.
    pub fn give_back(&self, tag: u64) {
        let mut settling = locked(&self.state.settling);
        if settling.acks.forget(tag) {
            // Under the lock: a cumulative ack that is made later must come later.
            self.shared.send(|out| requests::nack_requeue(out, self.state.number, tag));
        }
    }

    pub fn is_closed(&self) -> bool {
        self.state.closed.get().is_some()
    }

    /// Ends the channel's consumers, closes it and waits, in bounded time, until the broker has: then it has seen every ack, and put
    /// back the rest.
    ///
    /// A channel of RabbitMQ holds acks back while many of them are on their way to a quorum queue, and forgets those when it
    /// closes. It answers a cancel after the queue has taken what came before, so the close finds nothing held back.
    pub async fn close(&self, consumers: &[&str]) {
        self.state.put_acks(&self.shared, Gathered::All);
        for consumer in consumers {
            if let Ok(reply) =
                ChannelState::request(&self.state, &self.shared, |out, number| requests::cancel(out, number, consumer))
            {
                // An error is the channel's end, which is what is wanted.
                _ = reply.await;
            }
        }
        self.state.close_from_here(&self.shared);
        // Without an answer the connection is about to fail, which closes the channel as well.
        _ = tokio::time::timeout(REQUEST_TIMEOUT, self.state.gone.notified()).await;
    }
}

impl Settling {
    /// Lets acks gather, for a consumer with `prefetch`.
    pub fn gather(&mut self, prefetch: u16) {
        self.due_at = usize::from(prefetch / 2).clamp(1, ACKS_GATHERED_MAX);
    }

    /// False if the channel is closed.
    pub fn delivered(&mut self, tag: u64) -> bool {
        if !self.is_closed {
            self.acks.delivered(tag);
        }
        !self.is_closed
    }

    /// Calls `ack(tag, multiple)` for what is to be acknowledged now.
    pub fn take(&mut self, gathered: Gathered, ack: impl FnMut(u64, bool)) {
        let singles_min = match gathered {
            Gathered::Due => {
                self.is_listed_due = false;
                self.due_at
            }
            Gathered::Waited => {
                self.is_listed_waiting = false;
                1
            }
            Gathered::All => 1,
        };
        self.acks.take(singles_min, ack);
    }

    pub fn close(&mut self) {
        self.is_closed = true;
        self.acks.clear();
    }

    fn is_due(&self) -> bool {
        self.acks.settled() >= self.due_at
    }

    /// False if the channel is in the list already.
    fn enlist(&mut self, is_due: bool) -> bool {
        let is_listed = if is_due { &mut self.is_listed_due } else { &mut self.is_listed_waiting };
        !std::mem::replace(is_listed, true)
    }
}

//! A channel: requests with their answers, publishes with their confirms, deliveries with their acks.
//!
//! It has one owner, and closes when that is dropped; deliveries hold an [`Acker`], which does nothing once the channel is closed.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use paceline_core::{Error, Result};
use tokio::sync::{mpsc, oneshot};

use super::acks::Acks;
use super::confirms::{Answer, Confirms};
use super::connection::Shared;
use super::reader::{Content, Entry};
use super::{frame, locked, method, properties};

/// The longest that the broker may take to answer a request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

pub struct Channel {
    shared: Arc<Shared>,
    state: Arc<ChannelState>,
}

/// Settles deliveries of a channel. Once the channel is closed nothing is sent: the broker gives them out again anyway.
#[derive(Clone)]
pub struct Acker {
    shared: Arc<Shared>,
    state: Arc<ChannelState>,
}

/// What arrives on a channel; ends with it.
pub type Deliveries = mpsc::UnboundedReceiver<Event>;

#[derive(Debug)]
pub enum Event {
    Message(Incoming),
    /// The queue of a [`Channel::get`] had nothing ready.
    Empty,
    /// The broker ended the consumer: its queue was deleted or moved.
    Cancelled,
}

#[derive(Debug)]
pub struct Incoming {
    /// The first byte of the consumer's tag; 0 for the answer to a get.
    pub consumer: u8,
    pub tag: u64,
    pub redelivered: bool,
    /// To be read with [`properties::Properties::decode`].
    pub header: Bytes,
    pub body: Bytes,
}

/// The part of a channel that the connection's tasks see.
pub struct ChannelState {
    pub number: u16,
    replies: Mutex<VecDeque<oneshot::Sender<u64>>>,
    publishing: Mutex<Publishing>,
    acks: Mutex<Settling>,
    closed: OnceLock<Error>,
    has_sent_close: AtomicBool,
}

#[derive(Default)]
struct Publishing {
    confirms: Confirms,
    /// Frames are made here, so that the outbox is held only to append them.
    frames: Vec<u8>,
}

#[derive(Default)]
struct Settling {
    acks: Acks,
    /// The writing task knows that there is something to acknowledge.
    is_queued: bool,
    is_closed: bool,
}

impl Channel {
    /// Takes a free number on the connection. The channel is yet to be opened.
    pub(super) fn register(shared: &Arc<Shared>) -> Result<(Self, Deliveries)> {
        let mut channels = locked(&shared.channels);
        if shared.has_ended() || channels.is_empty() {
            return Err(shared.failure());
        }
        let free = channels.iter().skip(1).position(Option::is_none).map_or(channels.len(), |index| index + 1);
        let number = u16::try_from(free).ok().filter(|number| *number <= shared.channels_max).ok_or_else(|| {
            let max = shared.channels_max;
            Error::resource_exhausted(format!(
                "the connection to RabbitMQ has all of its {max} channels in use; start fewer consumers"
            ))
        })?;
        let state = Arc::new(ChannelState {
            number,
            replies: Mutex::default(),
            publishing: Mutex::default(),
            acks: Mutex::default(),
            closed: OnceLock::new(),
            has_sent_close: AtomicBool::new(false),
        });
        let (events, deliveries) = mpsc::unbounded_channel();
        let entry = Entry { state: state.clone(), events, content: Content::None };
        match channels.get_mut(free) {
            Some(slot) => *slot = Some(entry),
            None => channels.push(Some(entry)),
        }
        Ok((Self { shared: shared.clone(), state }, deliveries))
    }

    pub fn acker(&self) -> Acker {
        Acker { shared: self.shared.clone(), state: self.state.clone() }
    }

    /// Sends a request at once, so that several can be under way; the future is its answer, in bounded time.
    pub fn request(&self, put: impl FnOnce(&mut Vec<u8>, u16)) -> Result<BoxFuture<'static, Result<u64>>> {
        let (answer, reply) = oneshot::channel();
        {
            // Answers come in the order of the requests.
            let mut replies = locked(&self.state.replies);
            self.check()?;
            replies.push_back(answer);
            self.shared.send(|out| put(out, self.state.number));
        }
        let (state, shared) = (self.state.clone(), self.shared.clone());
        Ok(Box::pin(async move {
            match tokio::time::timeout(REQUEST_TIMEOUT, reply).await {
                Ok(Ok(messages)) => Ok(messages),
                Ok(Err(_)) => Err(state.failure(&shared)),
                Err(_) => {
                    let seconds = REQUEST_TIMEOUT.as_secs();
                    Err(Error::unavailable(format!("RabbitMQ at {} did not answer within {seconds} s", shared.label)))
                }
            }
        }))
    }

    /// Publishes `count` messages, whose frames `put(index, tag, out)` writes after the given method frame.
    pub fn publish(
        &self,
        count: usize,
        mut put: impl FnMut(usize, u64, &mut Vec<u8>),
    ) -> Result<oneshot::Receiver<Answer>> {
        let mut publishing = locked(&self.state.publishing);
        self.check()?;
        let Publishing { confirms, frames } = &mut *publishing;
        let (first, answer) = confirms.expect(count as u64);
        frames.clear();
        (0..count).zip(first..).for_each(|(index, tag)| put(index, tag, frames));
        self.shared.send(|out| out.extend_from_slice(frames));
        Ok(answer)
    }

    /// Writes a message's body for [`Self::publish`].
    pub fn put_body(&self, out: &mut Vec<u8>, body: &[u8]) {
        frame::put_body(out, self.state.number, body, self.shared.frame_bytes_max);
    }

    pub fn number(&self) -> u16 {
        self.state.number
    }

    /// Asks for one message of `queue`; it comes as an event, or [`Event::Empty`] does.
    pub fn get(&self, queue: &str) -> Result<()> {
        self.check()?;
        self.shared.send(|out| method::get(out, self.state.number, queue));
        Ok(())
    }

    /// Why the channel is of no use any more.
    pub fn failure(&self) -> Error {
        self.state.failure(&self.shared)
    }

    fn check(&self) -> Result<()> {
        match self.state.closed.get() {
            Some(error) => Err(error.clone()),
            None => Ok(()),
        }
    }
}

/// The broker puts back what is unsettled; acks that wait are sent before.
impl Drop for Channel {
    fn drop(&mut self) {
        self.state.put_acks(&self.shared);
        let was_open = self.state.closed.get().is_none();
        self.state.close(&Error::aborted("the channel was closed here"));
        if was_open {
            self.state.has_sent_close.store(true, Ordering::Release);
            self.shared.send(|out| method::close(out, self.state.number));
        }
    }
}

impl Acker {
    pub fn ack(&self, tag: u64) {
        let mut settling = locked(&self.state.acks);
        if !settling.acks.settle(tag) || settling.is_queued {
            return;
        }
        settling.is_queued = true;
        drop(settling);
        locked(&self.shared.unacknowledged).push(self.state.clone());
        self.shared.wake.notify_one();
    }

    /// Back to the queue at once.
    pub fn give_back(&self, tag: u64) {
        let mut settling = locked(&self.state.acks);
        if settling.acks.forget(tag) {
            // Under the lock: a cumulative ack that is made later must come later.
            self.shared.send(|out| method::nack_requeue(out, self.state.number, tag));
        }
    }

    pub fn is_closed(&self) -> bool {
        self.state.closed.get().is_some()
    }
}

impl ChannelState {
    /// Only the first reason counts. Nothing is settled, answered or confirmed after it.
    pub(super) fn close(&self, error: &Error) {
        _ = self.closed.set(error.clone());
        let mut settling = locked(&self.acks);
        settling.is_closed = true;
        settling.acks.clear();
        drop(settling);
        locked(&self.replies).clear();
        locked(&self.publishing).confirms.clear();
    }

    pub(super) fn replied(&self, messages: u64) {
        if let Some(answer) = locked(&self.replies).pop_front() {
            // Who asked may have gone.
            _ = answer.send(messages);
        }
    }

    pub(super) fn decided(&self, tag: u64, multiple: bool, nacked: bool) {
        locked(&self.publishing).confirms.decide(tag, multiple, nacked);
    }

    pub(super) fn returned(&self, header: &[u8]) {
        if let Some(tag) = properties::returned_tag(header) {
            locked(&self.publishing).confirms.returned(tag);
        }
    }

    /// False if the channel is closed, so that the delivery is nobody's.
    pub(super) fn delivered(&self, tag: u64) -> bool {
        let mut settling = locked(&self.acks);
        if !settling.is_closed {
            settling.acks.delivered(tag);
        }
        !settling.is_closed
    }

    pub(super) fn put_acks(&self, shared: &Shared) {
        let mut settling = locked(&self.acks);
        settling.is_queued = false;
        // Under the lock, so that acks of a channel are written in the order in which they are taken.
        let mut out = locked(&shared.outbox);
        settling.acks.take(|tag, multiple| method::ack(&mut out, self.number, tag, multiple));
    }

    pub(super) fn has_sent_close(&self) -> bool {
        self.has_sent_close.load(Ordering::Acquire)
    }

    fn failure(&self, shared: &Shared) -> Error {
        self.closed.get().cloned().unwrap_or_else(|| shared.failure())
    }
}

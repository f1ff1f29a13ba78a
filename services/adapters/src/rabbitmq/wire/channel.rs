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
use tokio::sync::{Notify, mpsc, oneshot};

use super::acker::{Acker, Gathered, Settling};
use super::confirms::{Answer, Confirms};
use super::connection::Shared;
use super::reader::{Content, Entry};
use super::{frame, locked, properties, requests};

/// The longest that the broker may take to answer a request.
pub(super) const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

pub struct Channel {
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
    pub(super) settling: Mutex<Settling>,
    pub(super) closed: OnceLock<Error>,
    has_sent_close: AtomicBool,
    /// The broker knows that the channel is closed, or there is no broker any more.
    pub gone: Notify,
}

#[derive(Default)]
struct Publishing {
    confirms: Confirms,
    /// Frames are made here, so that the outbox is held only to append them.
    frames: Vec<u8>,
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
            settling: Mutex::default(),
            closed: OnceLock::new(),
            has_sent_close: AtomicBool::new(false),
            gone: Notify::new(),
        });
        let (events, deliveries) = mpsc::unbounded_channel();
        let entry = Entry { state: state.clone(), events, content: Content::None };
        match channels.get_mut(free) {
            Some(slot) => *slot = Some(entry),
            None => channels.push(Some(entry)),
        }
        Ok((Self { shared: shared.clone(), state }, deliveries))
    }

    /// Lets acks wait a little until about half of what the consumer may hold is settled: every ack is a step of the queue's log in
    /// the broker, and the other half keeps the consumer busy meanwhile.
    pub fn gather_acks(&self, prefetch: u16) {
        locked(&self.state.settling).gather(prefetch);
    }

    pub fn acker(&self) -> Acker {
        Acker::new(self.shared.clone(), self.state.clone())
    }

    /// Sends a request at once, so that several can be under way; the future is its answer, in bounded time.
    pub fn request(&self, put: impl FnOnce(&mut Vec<u8>, u16)) -> Result<BoxFuture<'static, Result<u64>>> {
        ChannelState::request(&self.state, &self.shared, put)
    }

    /// Publishes `count` messages, whose frames `put(index, tag, out)` writes after the given method frame.
    pub fn publish(
        &self,
        count: usize,
        mut put: impl FnMut(usize, u64, &mut Vec<u8>),
    ) -> Result<oneshot::Receiver<Answer>> {
        let mut publishing = locked(&self.state.publishing);
        self.state.check()?;
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
        self.state.check()?;
        self.shared.send(|out| requests::get(out, self.state.number, queue));
        Ok(())
    }

    /// Why the channel is of no use any more.
    pub fn failure(&self) -> Error {
        self.state.failure(&self.shared)
    }
}

/// The broker puts back what is unsettled; acks that wait are sent before.
impl Drop for Channel {
    fn drop(&mut self) {
        self.state.close_from_here(&self.shared);
    }
}

impl ChannelState {
    pub(super) fn request(
        self: &Arc<Self>,
        shared: &Arc<Shared>,
        put: impl FnOnce(&mut Vec<u8>, u16),
    ) -> Result<BoxFuture<'static, Result<u64>>> {
        let (answer, reply) = oneshot::channel();
        {
            // Answers come in the order of the requests.
            let mut replies = locked(&self.replies);
            self.check()?;
            replies.push_back(answer);
            shared.send(|out| put(out, self.number));
        }
        let (state, shared) = (self.clone(), shared.clone());
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

    pub(super) fn close_from_here(&self, shared: &Shared) {
        self.put_acks(shared, Gathered::All);
        let was_open = self.closed.get().is_none();
        self.close(&Error::aborted("the channel was closed here"));
        if was_open && !self.has_sent_close.swap(true, Ordering::AcqRel) {
            shared.send(|out| requests::close(out, self.number));
        }
    }

    /// Only the first reason counts. Nothing is settled, answered or confirmed after it.
    pub(super) fn close(&self, error: &Error) {
        _ = self.closed.set(error.clone());
        locked(&self.settling).close();
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
        locked(&self.settling).delivered(tag)
    }

    pub(super) fn put_acks(&self, shared: &Shared, gathered: Gathered) {
        let mut settling = locked(&self.settling);
        // Under the lock, so that acks of a channel are written in the order in which they are taken.
        let mut out = locked(&shared.outbox);
        settling.take(gathered, |tag, multiple| requests::ack(&mut out, self.number, tag, multiple));
    }

    pub(super) fn has_sent_close(&self) -> bool {
        self.has_sent_close.load(Ordering::Acquire)
    }

    pub(super) fn check(&self) -> Result<()> {
        match self.closed.get() {
            Some(error) => Err(error.clone()),
            None => Ok(()),
        }
    }

    fn failure(&self, shared: &Shared) -> Error {
        self.closed.get().cloned().unwrap_or_else(|| shared.failure())
    }
}

//! A consumer: one channel with its own prefetch, as a stream of deliveries.
//!
//! It reads the main queue, and one at a time what the broker itself gave up on. The broker counts the prefetch for each queue apart,
//! so the stream counts once more for both.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use futures::stream::{Stream, StreamExt as _};
use futures::task::AtomicWaker;
use paceline_core::ports::broker::{Consumer, Delivery};
use paceline_core::{Error, Result};

use super::message::Decoder;
use super::publisher::Publisher;
use super::settle::{Held, RabbitSettle};
use super::topology::{self, Names};
use super::wire::{Channel, Connection, Deliveries, Event, Incoming, requests};

const CONSUMER_MAIN: &str = "m";
const CONSUMER_GIVEN_UP: &str = "g";
const PREFETCH_GIVEN_UP: u16 = 1;

/// Starts a consumer on a channel of its own; what it needs is declared first, since this may be a new epoch of a new broker.
pub async fn start(
    connection: &Connection,
    names: Names,
    prefetch: u16,
    publisher: Arc<Publisher>,
) -> Result<Consumer> {
    if prefetch == 0 {
        return Err(Error::invalid_field("prefetch", "0 would mean no limit; use 1 or more"));
    }
    let (channel, deliveries) = connection.channel().await?;
    channel.gather_acks(prefetch);
    topology::declare(&channel, &names).await?;
    let replies = [
        channel.request(|out, number| requests::qos(out, number, prefetch))?,
        channel.request(|out, number| requests::consume(out, number, &names.main, CONSUMER_MAIN))?,
        channel.request(|out, number| requests::qos(out, number, PREFETCH_GIVEN_UP))?,
        channel.request(|out, number| requests::consume(out, number, &names.given_up, CONSUMER_GIVEN_UP))?,
    ];
    for reply in replies {
        reply.await?;
    }
    let (count, waiting) = (AtomicUsize::new(0), AtomicWaker::new());
    let held = Arc::new(Held { acker: channel.acker(), names, publisher, count, waiting });
    let acker = channel.acker();
    let closing = Box::pin(async move { acker.close(&[CONSUMER_MAIN, CONSUMER_GIVEN_UP]).await });
    let stream = RabbitStream {
        channel,
        deliveries,
        held,
        prefetch: usize::from(prefetch),
        decoder: Decoder::default(),
        early: VecDeque::new(),
        has_ended: false,
    };
    Ok(Consumer { deliveries: stream.boxed(), closing })
}

struct RabbitStream {
    /// Closing it gives back what is held.
    channel: Channel,
    deliveries: Deliveries,
    held: Arc<Held>,
    prefetch: usize,
    decoder: Decoder,
    /// Read while the consumer was full: at most what the broker sends beyond one queue's prefetch.
    early: VecDeque<Incoming>,
    has_ended: bool,
}

impl Stream for RabbitStream {
    type Item = Result<Delivery>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.has_ended {
            return Poll::Ready(None);
        }
        if self.is_full() {
            self.held.waiting.register(context.waker());
            // One may have been settled between the look and the registration. Otherwise it reads on, because only so it sees
            // that the channel ends; what comes meanwhile is the one message of the other queue, and waits.
            while self.is_full() {
                match ready!(self.deliveries.poll_recv(context)) {
                    Some(Event::Message(incoming)) => self.early.push_back(incoming),
                    other => return Poll::Ready(Some(Err(self.end(other.is_some())))),
                }
            }
        }
        if let Some(incoming) = self.early.pop_front() {
            return Poll::Ready(Some(Ok(self.hand_out(incoming))));
        }
        match ready!(self.deliveries.poll_recv(context)) {
            Some(Event::Message(incoming)) => Poll::Ready(Some(Ok(self.hand_out(incoming)))),
            other => Poll::Ready(Some(Err(self.end(other.is_some())))),
        }
    }
}

impl RabbitStream {
    fn is_full(&self) -> bool {
        self.held.count.load(Ordering::Acquire) >= self.prefetch
    }

    /// The last item: why there are no more.
    fn end(&mut self, is_cancelled: bool) -> Error {
        self.has_ended = true;
        if !is_cancelled {
            return self.channel.failure();
        }
        let queue = &self.held.names.main;
        Error::unavailable(format!("RabbitMQ ended the consumer of {queue}: the queue was deleted or moved"))
    }

    fn hand_out(&mut self, incoming: Incoming) -> Delivery {
        let (tag, is_given_up) = (incoming.tag, incoming.consumer == CONSUMER_GIVEN_UP.as_bytes()[0]);
        let (message, envelope) = self.decoder.decode(incoming);
        let given_up = is_given_up.then(|| {
            let reason = envelope.broker_reason.as_deref().unwrap_or("unknown reason");
            format!("the broker gave up on it: {reason}")
        });
        self.held.count.fetch_add(1, Ordering::AcqRel);
        let settle = Box::new(RabbitSettle { held: self.held.clone(), tag });
        Delivery { message, redeliveries: envelope.deliveries_before, given_up, settle }
    }
}

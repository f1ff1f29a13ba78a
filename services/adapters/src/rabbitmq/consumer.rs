//! A consumer: one channel with its own prefetch, as a stream of deliveries.
//!
//! The stream reads the main queue, and one at a time the messages that the broker itself gave up on. The broker counts the prefetch
//! for each queue apart, so the stream counts once more for both.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures::stream::{Stream, StreamExt as _};
use futures::task::AtomicWaker;
use lapin::message::Delivery as Incoming;
use lapin::options::{BasicConsumeOptions, BasicQosOptions};
use lapin::types::{AMQPValue, FieldTable};
use paceline_core::error::codes;
use paceline_core::ports::broker::{Consumer, Delivery};
use paceline_core::{Error, Result};

use super::acker::Acker;
use super::bundle::{self, BundledDelivery};
use super::connection::AmqpConnection;
use super::incoming::{End, Merged, Source};
use super::message::Decoder;
use super::names::QueueNames;
use super::priority::ConsumerRank;
use super::publisher::Publisher;
use super::settle::{ConsumerShare, RabbitSettle};

const CONSUMER_MAIN: &str = "m";
const CONSUMER_GIVEN_UP: &str = "g";
const PREFETCH_GIVEN_UP: u16 = 1;

/// Starts a consumer on a channel of its own. The queues are declared first, since this may be the first epoch of a new broker.
pub async fn start(
    connection: &Arc<AmqpConnection>,
    names: QueueNames,
    prefetch: u16,
    publisher: Arc<Publisher>,
) -> Result<Consumer> {
    if prefetch == 0 {
        return Err(
            Error::invalid_field("prefetch", "0 would mean no limit; use 1 or more").coded(codes::SETTINGS_INVALID)
        );
    }
    connection.declared().may_consume(&names)?;
    connection.declare(&names).await?;
    let channel = connection.channel().await?;
    // From here on an attempt that is given up closes the channel: a late answer would make a consumer that nobody reads.
    let acker = CloseOnDrop(Some(connection.acker(channel.clone(), prefetch)));
    let place = connection.places().take(&names.main);
    let (main, given_up) = consumers(connection, &channel, &names, prefetch, &place).await?;
    let acker = acker.keep();
    let (count, waiting) = (AtomicUsize::new(0), AtomicWaker::new());
    let held = Arc::new(ConsumerShare { acker: acker.clone(), names, publisher, count, waiting });
    let closing = Box::pin(async move { acker.close(&[CONSUMER_MAIN, CONSUMER_GIVEN_UP]).await });
    let stream = RabbitStream {
        connection: connection.clone(),
        incoming: Merged::new(main, given_up),
        held,
        prefetch: usize::from(prefetch),
        decoder: Decoder::default(),
        arrived: VecDeque::new(),
        has_ended: false,
        _place: place,
    };
    Ok(Consumer { deliveries: stream.boxed(), closing })
}

/// A channel that is not yet anybody's.
struct CloseOnDrop(Option<Acker>);

impl CloseOnDrop {
    fn keep(mut self) -> Acker {
        self.0.take().expect("it is kept once")
    }
}

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        if let Some(acker) = &self.0 {
            acker.close_now();
        }
    }
}

/// Both consumers of a channel; the connection remembers a refusal.
async fn consumers(
    connection: &AmqpConnection,
    channel: &lapin::Channel,
    names: &QueueNames,
    prefetch: u16,
    place: &ConsumerRank,
) -> Result<(lapin::Consumer, lapin::Consumer)> {
    let consumers = connection.request(consume(channel, names, prefetch, place)).await;
    connection.declared().consumed(names, consumers.as_ref().err());
    if consumers.is_err() {
        // Maybe since somebody has deleted a queue: the next attempt declares it.
        connection.declared().forget();
    }
    consumers
}

/// Both consumers of a channel, asked for together.
async fn consume(
    channel: &lapin::Channel,
    names: &QueueNames,
    prefetch: u16,
    place: &ConsumerRank,
) -> lapin::Result<(lapin::Consumer, lapin::Consumer)> {
    let consumer = async |queue: &str, tag: &str, prefetch, arguments| {
        // The prefetch is that of the consumers that the channel starts from now on.
        let limited = channel.basic_qos(prefetch, BasicQosOptions::default());
        let options = BasicConsumeOptions::default();
        let started = channel.basic_consume(queue.into(), tag.into(), options, arguments);
        futures::try_join!(limited, started).map(|((), consumer)| consumer)
    };
    let mut placed = FieldTable::default();
    placed.insert("x-priority".into(), AMQPValue::LongInt(place.priority()));
    let main = consumer(&names.main, CONSUMER_MAIN, prefetch, placed);
    let given_up = consumer(&names.given_up, CONSUMER_GIVEN_UP, PREFETCH_GIVEN_UP, FieldTable::default());
    futures::try_join!(main, given_up)
}

struct RabbitStream {
    connection: Arc<AmqpConnection>,
    incoming: Merged<lapin::Consumer>,
    held: Arc<ConsumerShare>,
    prefetch: usize,
    decoder: Decoder,
    /// Deliveries not handed out yet: the rest of a bundle, and those read while the consumer was full. The broker sends no more than one
    /// queue's prefetch and the one message of the other.
    arrived: VecDeque<(Source, BundledDelivery)>,
    has_ended: bool,
    _place: ConsumerRank,
}

/// The deliveries that are held go back to the queue.
impl Drop for RabbitStream {
    fn drop(&mut self) {
        self.held.acker.close_now();
    }
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
                if let Err(error) = ready!(self.poll_incoming(context)) {
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
        loop {
            if let Some(next) = self.arrived.pop_front() {
                return Poll::Ready(Some(Ok(self.hand_out(next))));
            }
            if let Err(error) = ready!(self.poll_incoming(context)) {
                return Poll::Ready(Some(Err(error)));
            }
        }
    }
}

impl RabbitStream {
    fn is_full(&self) -> bool {
        self.held.count.load(Ordering::Acquire) >= self.prefetch
    }

    /// Takes in what has arrived next, or says why there is no more.
    fn poll_incoming(&mut self, context: &mut Context<'_>) -> Poll<Result<()>> {
        let next = ready!(self.incoming.poll_next(context));
        Poll::Ready(match next {
            Ok((source, incoming)) => {
                let known = self.arrived.len();
                self.arrived.extend(apart(incoming).map(|part| (source, part)));
                self.held.acker.delivered(self.arrived.range(known..).map(|(_, part)| part.tag));
                Ok(())
            }
            Err(end) => {
                self.has_ended = true;
                Err(self.explain(end))
            }
        })
    }

    fn explain(&self, end: End) -> Error {
        match end {
            End::Failed(error) => self.connection.explain(&error),
            End::Cancelled => {
                // The end of the whole connection may look like this too.
                if let Some(failure) = self.connection.failure() {
                    return failure;
                }
                self.connection.declared().forget();
                let queue = &self.held.names.main;
                Error::unavailable(format!("RabbitMQ ended the consumer of {queue}: the queue was deleted or moved"))
                    .coded(codes::QUEUE_GONE)
            }
        }
    }

    fn hand_out(&mut self, (source, part): (Source, BundledDelivery)) -> Delivery {
        let BundledDelivery { tag, redelivered, data } = part;
        let (message, envelope) = self.decoder.decode(redelivered, data);
        let given_up = (source == Source::GivenUp).then(|| {
            let reason = envelope.broker_reason.as_deref().unwrap_or("unknown reason");
            format!("the broker gave up on it: {reason}")
        });
        self.held.count.fetch_add(1, Ordering::AcqRel);
        let settle = Box::new(RabbitSettle { held: self.held.clone(), tag });
        Delivery { message, redeliveries: envelope.deliveries_before, given_up, settle }
    }
}

/// The deliveries of a bundle, or the one that came alone.
fn apart(incoming: Incoming) -> impl Iterator<Item = BundledDelivery> {
    let Incoming { delivery_tag: tag, redelivered, data, routing_key, .. } = incoming;
    let data: Bytes = data.into();
    let (alone, bundle) = match routing_key.as_str() {
        bundle::MARK => (None, data),
        _ => (Some(BundledDelivery { tag, redelivered, data }), Bytes::new()),
    };
    alone.into_iter().chain(bundle::parts(bundle))
}

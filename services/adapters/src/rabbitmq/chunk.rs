//! Part of a batch on its way through one channel: sent at once, then confirmed message by message.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Waker};

use lapin::message::BasicReturnMessage;
use lapin::options::BasicPublishOptions;
use lapin::types::ShortString;
use lapin::{BasicProperties, Channel, Confirmation};
use paceline_core::ports::broker::{Confirm, Message};

use super::message::{self, Target};

/// The most messages of a chunk, and the most bytes unless one message alone has more: what waits for the socket is bounded by both.
const MESSAGES_MAX: usize = 256;
const BYTES_MAX: usize = 1024 * 1024;

/// The messages that were not confirmed, by their index in the chunk.
pub type Exceptions = Vec<(usize, Confirm)>;

type Publish = Pin<Box<dyn Future<Output = lapin::Result<Confirmation>> + Send>>;

pub struct Chunk(Vec<Publish>);

/// A batch in parts that a channel takes at once.
pub fn chunks(batch: &[Message]) -> impl Iterator<Item = &[Message]> {
    let mut rest = batch;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let mut bytes = 0;
        let fits = |message: &&Message| {
            bytes += message.body.len();
            bytes <= BYTES_MAX
        };
        let count = rest.iter().take(MESSAGES_MAX).take_while(fits).count().max(1);
        let (chunk, others) = rest.split_at(count);
        rest = others;
        Some(chunk)
    })
}

impl Chunk {
    /// Hands all of `messages` to lapin, in order.
    pub fn send(channel: &Arc<Channel>, target: Target<'_>, messages: &[Message]) -> Self {
        let (exchange, key) = (ShortString::from(target.exchange), ShortString::from(target.routing_key));
        let publish = |(index, message): (usize, &Message)| {
            let properties = message::properties(message, index, target.reason);
            let published = publish(channel.clone(), exchange.clone(), key.clone(), message.body.clone(), properties);
            let mut published: Publish = Box::pin(published);
            // lapin queues the message in the first poll. It cannot be confirmed so soon, and nobody is to be woken.
            let polled = published.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            match polled {
                std::task::Poll::Pending => published,
                // A channel that has ended.
                std::task::Poll::Ready(ended) => Box::pin(std::future::ready(ended)),
            }
        };
        Self(messages.iter().enumerate().map(publish).collect())
    }

    /// Waits until the broker has decided on every message.
    pub async fn confirmed(self) -> lapin::Result<Exceptions> {
        let mut exceptions = Exceptions::new();
        let (count, mut returned) = (self.0.len(), Vec::new());
        for (index, published) in self.0.into_iter().enumerate() {
            match published.await? {
                Confirmation::Ack(None) => (),
                Confirmation::Ack(Some(message)) => returned.push(message),
                Confirmation::Nack(message) => {
                    let why = "RabbitMQ refused the message: the queue is full or about to stop";
                    exceptions.push((index, Confirm::Refused(why.into())));
                    returned.extend(message);
                }
                Confirmation::NotRequested => return Err(lapin::ErrorKind::FutureCompleted.into()),
            }
        }
        // lapin gives a returned message to any of the confirms of its channel, so the message says which it is.
        for message in returned {
            let index = returned_index(&message).filter(|index| *index < count);
            let index = index.ok_or(lapin::ErrorKind::FutureCompleted)?;
            exceptions.push((index, Confirm::Unroutable));
        }
        Ok(exceptions)
    }
}

async fn publish(
    channel: Arc<Channel>,
    exchange: ShortString,
    routing_key: ShortString,
    body: bytes::Bytes,
    properties: BasicProperties,
) -> lapin::Result<Confirmation> {
    let mandatory = BasicPublishOptions { mandatory: true, immediate: false };
    channel.basic_publish(exchange, routing_key, mandatory, &body, properties).await?.await
}

fn returned_index(returned: &BasicReturnMessage) -> Option<usize> {
    returned.delivery.properties.correlation_id().as_ref()?.as_str().parse().ok()
}

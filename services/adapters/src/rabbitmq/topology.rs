//! Declares the exchange and the queues of a (queue, group), with their settings. All of them are quorum queues; [`QueueNames`] draws
//! how they are connected.

use futures::future::{BoxFuture, try_join_all};
use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, ExchangeKind};
use paceline_core::ports::broker::DELIVERY_LIMIT;
use paceline_core::retry::LADDER_S;

use super::names::QueueNames;

/// The limit of queues whose messages may be handed out any number of times, since nobody settles them. RabbitMQ 4 would otherwise drop
/// a message after 20 looks at it.
const DELIVERY_LIMIT_NONE: i64 = 1_000_000_000;

/// Makes the exchange, which every publish needs.
pub async fn declare_exchange(channel: &Channel, exchange: &str) -> lapin::Result<()> {
    let durable = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    channel.exchange_declare(exchange.into(), ExchangeKind::Direct, durable, FieldTable::default()).await
}

/// Makes everything of a (queue, group). Idempotent; the requests go out together, in order.
pub async fn declare(channel: &Channel, names: &QueueNames) -> lapin::Result<()> {
    let mut made: Vec<BoxFuture<'_, lapin::Result<()>>> = vec![
        Box::pin(declare_exchange(channel, &names.exchange)),
        Box::pin(declare_queue(channel, &names.main, Some(&names.given_up), i64::from(DELIVERY_LIMIT), None)),
        Box::pin(declare_queue(channel, &names.given_up, None, DELIVERY_LIMIT_NONE, None)),
        Box::pin(declare_queue(channel, &names.dead, None, DELIVERY_LIMIT_NONE, None)),
    ];
    for (queue, seconds) in names.retries.iter().zip(LADDER_S) {
        made.push(Box::pin(declare_queue(channel, queue, Some(&names.main), DELIVERY_LIMIT_NONE, Some(seconds))));
    }
    let (main, exchange, key) = (&*names.main, &*names.exchange, &*names.routing_key);
    let options = QueueBindOptions::default();
    made.push(Box::pin(channel.queue_bind(main.into(), exchange.into(), key.into(), options, FieldTable::default())));
    try_join_all(made).await.map(drop)
}

/// A quorum queue that hands what it gives up to `dead_letters`, and only after that one has it.
async fn declare_queue(
    channel: &Channel,
    queue: &str,
    dead_letters: Option<&str>,
    limit: i64,
    ttl_s: Option<u64>,
) -> lapin::Result<()> {
    let mut arguments = FieldTable::default();
    let text = |text: &str| AMQPValue::LongString(text.into());
    arguments.insert("x-queue-type".into(), text("quorum"));
    arguments.insert("x-delivery-limit".into(), AMQPValue::LongLongInt(limit));
    // At-least-once dead-lettering needs it; without a length limit it never refuses.
    arguments.insert("x-overflow".into(), text("reject-publish"));
    if let Some(target) = dead_letters {
        arguments.insert("x-dead-letter-exchange".into(), text(""));
        arguments.insert("x-dead-letter-routing-key".into(), text(target));
        arguments.insert("x-dead-letter-strategy".into(), text("at-least-once"));
    }
    if let Some(seconds) = ttl_s {
        let milliseconds = i64::try_from(seconds * 1000).expect("an hour in milliseconds");
        arguments.insert("x-message-ttl".into(), AMQPValue::LongLongInt(milliseconds));
    }
    let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(queue.into(), durable, arguments).await.map(drop)
}

//! Cases that only a real RabbitMQ can show and the port's suite cannot ask for: foreign clients, and the broker's own acts.

use std::time::Duration;

use futures::StreamExt as _;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions, QueueDeleteOptions};
use lapin::{BasicProperties, Confirmation};
use paceline_core::ErrorKind;
use paceline_core::clock::SystemClock;
use paceline_core::ports::broker::{Broker as _, Consumer, Delivery};

use super::names::QueueNames;
use super::{RabbitBroker, RabbitConfig, priority};

const QUEUE: &str = "jobs";
const GROUP: &str = "main";

fn config(case: &str) -> RabbitConfig {
    let url = std::env::var("PACELINE_BROKER_URL")
        .expect("PACELINE_BROKER_URL is not set: run `make test`, or eval \"$(infra/local/stack up)\"");
    let namespace = format!("test-{case}-{}-{}", SystemClock::shared().wall_ms(), std::process::id());
    RabbitConfig { url, namespace, ca_file: None }
}

/// Another client's connection.
async fn foreign(config: &RabbitConfig) -> lapin::Connection {
    // Of a cluster, any node will do.
    let url = paceline_core::nodes::node_urls(&config.url).remove(0);
    lapin::Connection::connect(&url, lapin::ConnectionProperties::default()).await.unwrap()
}

/// Publishes as another client would: no id, no type, no headers, and an expiry of 0 ms if asked.
async fn publish_foreign(config: &RabbitConfig, expires: bool) {
    let properties = match expires {
        true => BasicProperties::default().with_expiration("0".into()),
        false => BasicProperties::default(),
    };
    let channel = foreign(config).await.create_channel().await.unwrap();
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    let (exchange, key) = (config.namespace.as_str().into(), QUEUE.into());
    let mandatory = BasicPublishOptions { mandatory: true, immediate: false };
    let published = channel.basic_publish(exchange, key, mandatory, b"hello", properties).await.unwrap();
    assert_eq!(published.await.unwrap(), Confirmation::Ack(None));
}

async fn next(consumer: &mut Consumer) -> Delivery {
    let next = tokio::time::timeout(Duration::from_secs(30), consumer.deliveries.next()).await;
    next.expect("a delivery in time").expect("the stream goes on").expect("a delivery")
}

#[tokio::test]
async fn a_foreign_message_without_properties_arrives() {
    let config = config("foreign");
    let broker = RabbitBroker::connect(config.clone(), SystemClock::shared()).await.unwrap();
    broker.declare(QUEUE, GROUP).await.unwrap();
    publish_foreign(&config, false).await;
    let delivery = next(&mut broker.consume(QUEUE, GROUP, 1).await.unwrap()).await;
    assert_eq!((delivery.message.id.as_str(), delivery.message.attempt), ("", 1));
    assert_eq!((&delivery.message.body[..], delivery.given_up), (b"hello".as_slice(), None));
    broker.remove(QUEUE, GROUP).await.unwrap();
}

#[tokio::test]
async fn what_the_broker_gives_up_on_is_delivered_with_its_reason() {
    let config = config("given-up");
    let broker = RabbitBroker::connect(config.clone(), SystemClock::shared()).await.unwrap();
    broker.declare(QUEUE, GROUP).await.unwrap();
    publish_foreign(&config, true).await;
    // Prefetch 1 is for both queues: what was given up is not on top of it.
    let mut consumer = broker.consume(QUEUE, GROUP, 1).await.unwrap();
    let delivery = next(&mut consumer).await;
    let reason = delivery.given_up.clone().expect("given up");
    assert!(reason.contains("expired"), "{reason}");
    delivery.dead(reason.clone()).await.unwrap();

    let letters = broker.dead_letters(QUEUE, GROUP, 10).await.unwrap();
    assert_eq!(letters.iter().map(|letter| letter.reason.clone()).collect::<Vec<_>>(), [reason]);
    consumer.close().await;
    broker.remove(QUEUE, GROUP).await.unwrap();
}

/// A missing queue of many: unknown is not zero, and not "there is no such queue" either.
#[tokio::test]
async fn the_depth_of_a_queue_that_is_half_there_is_unknown() {
    let config = config("half");
    let broker = RabbitBroker::connect(config.clone(), SystemClock::shared()).await.unwrap();
    broker.declare(QUEUE, GROUP).await.unwrap();
    let names = QueueNames::new(&config.namespace, QUEUE, GROUP).unwrap();
    let retry = names.retry(Duration::from_secs(15));
    let channel = foreign(&config).await.create_channel().await.unwrap();
    channel.queue_delete(retry.into(), QueueDeleteOptions::default()).await.unwrap();
    let error = broker.depth(QUEUE, GROUP).await.unwrap_err();
    assert!(error.kind == ErrorKind::Unavailable && error.message.contains(retry), "{error}");
    broker.declare(QUEUE, GROUP).await.unwrap();
    assert_eq!(broker.depth(QUEUE, GROUP).await.unwrap().ready, 0);
    broker.remove(QUEUE, GROUP).await.unwrap();
    assert_eq!(broker.depth(QUEUE, GROUP).await.unwrap_err().kind, ErrorKind::NotFound);
}

#[tokio::test]
async fn a_deleted_queue_ends_its_consumer_and_consuming_anew_makes_it_again() {
    let config = config("deleted");
    let broker = RabbitBroker::connect(config, SystemClock::shared()).await.unwrap();
    let mut consumer = broker.consume(QUEUE, GROUP, 10).await.unwrap();
    broker.remove(QUEUE, GROUP).await.unwrap();
    let end = tokio::time::timeout(Duration::from_secs(30), consumer.deliveries.next()).await;
    let error = end.expect("it ends in time").expect("a reason").err().expect("an error");
    assert!(error.is_retryable() && error.message.contains("deleted"), "{error}");
    let _again = broker.consume(QUEUE, GROUP, 10).await.unwrap();
    assert_eq!(broker.depth(QUEUE, GROUP).await.unwrap().ready, 0);
    broker.remove(QUEUE, GROUP).await.unwrap();
}

/// If priorities were equal, the last consumer would get one job, and another consumer one fewer.
#[tokio::test]
async fn a_level_of_consumers_is_filled_before_the_next() {
    const PREFETCH: u16 = 2;
    let config = config("levels");
    let broker = RabbitBroker::connect(config.clone(), SystemClock::shared()).await.unwrap();
    let mut consumers = Vec::new();
    for _ in 0..=priority::LEVEL {
        consumers.push(broker.consume(QUEUE, GROUP, PREFETCH).await.unwrap());
    }
    let (_last, first) = consumers.split_last_mut().unwrap();
    for _ in 0..first.len() * usize::from(PREFETCH) {
        publish_foreign(&config, false).await;
    }
    let mut held = Vec::new();
    for consumer in first {
        for _ in 0..PREFETCH {
            held.push(next(consumer).await);
        }
    }
    broker.remove(QUEUE, GROUP).await.unwrap();
}

/// A full consumer reads on: the messages that it holds are lost with its channel, and nobody would settle them.
#[tokio::test]
async fn a_full_consumer_hears_that_it_ended() {
    let config = config("full");
    let broker = RabbitBroker::connect(config.clone(), SystemClock::shared()).await.unwrap();
    broker.declare(QUEUE, GROUP).await.unwrap();
    publish_foreign(&config, false).await;
    let mut consumer = broker.consume(QUEUE, GROUP, 1).await.unwrap();
    let held = next(&mut consumer).await;
    broker.remove(QUEUE, GROUP).await.unwrap();
    let end = tokio::time::timeout(Duration::from_secs(30), consumer.deliveries.next()).await;
    let error = end.expect("it ends in time").expect("with a last item").err().expect("which is the reason");
    assert!(error.is_retryable(), "{error}");
    drop(held);
}

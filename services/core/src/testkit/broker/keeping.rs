//! Cases of keeping: messages that the broker keeps, for how long, and the depth that it tells.

use std::time::Duration;

use super::harness::{BrokerHarness, GROUP, QUEUE};
use super::support::{consume, declared, depth, depth_becomes, next, publish, seqs, take};
use crate::error::ErrorKind;
use crate::ports::broker::Delivery;

pub async fn depth_says_where_messages_are(harness: &dyn BrokerHarness) {
    let broker = declared(harness).await;
    depth_becomes(&broker, GROUP, depth(0, 0, 0, 0)).await;
    publish(&broker, 0..10).await;
    depth_becomes(&broker, GROUP, depth(10, 0, 0, 0)).await;

    let mut consumer = consume(&broker, 4).await;
    let mut taken = take(&mut consumer, 4).await;
    depth_becomes(&broker, GROUP, depth(6, 4, 0, 0)).await;
    taken.pop().unwrap().retry(Duration::from_secs(3600)).await.unwrap();
    taken.pop().unwrap().dead("enough").await.unwrap();
    taken.extend(take(&mut consumer, 2).await);
    depth_becomes(&broker, GROUP, depth(4, 4, 1, 1)).await;
    taken.into_iter().for_each(Delivery::ack);
    drop(consumer);
    depth_becomes(&broker, GROUP, depth(4, 0, 1, 1)).await;
}

pub async fn the_depth_of_an_undeclared_queue_is_not_found(harness: &dyn BrokerHarness) {
    let broker = declared(harness).await;
    for (queue, group) in [("nowhere", GROUP), (QUEUE, "nobody")] {
        let error = broker.depth(queue, group).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::NotFound, "{error}");
    }
    depth_becomes(&broker, GROUP, depth(0, 0, 0, 0)).await;
}

pub async fn purge_removes_the_ready_messages_only(harness: &dyn BrokerHarness) {
    let broker = declared(harness).await;
    publish(&broker, 0..10).await;
    let mut consumer = consume(&broker, 3).await;
    let mut held = take(&mut consumer, 3).await;
    held.remove(1).ack();
    let more = take(&mut consumer, 1).await;
    assert_eq!(broker.purge(QUEUE, GROUP).await.unwrap(), 6);
    depth_becomes(&broker, GROUP, depth(0, 3, 0, 0)).await;
    drop(consumer);
    held.extend(more);
    let mut consumer = consume(&broker, 10).await;
    assert_eq!(seqs(&take(&mut consumer, 3).await), seqs(&held));

    publish(&broker, 10..12).await;
    assert_eq!(seqs(&take(&mut consumer, 2).await), (10..12).collect());
    assert_eq!(broker.purge(QUEUE, GROUP).await.unwrap(), 0);
}

pub async fn declaring_again_keeps_what_is_there(harness: &dyn BrokerHarness) {
    let broker = declared(harness).await;
    publish(&broker, 0..3).await;
    broker.declare(QUEUE, GROUP).await.unwrap();
    let taken = take(&mut consume(&broker, 10).await, 3).await;
    assert_eq!(seqs(&taken), (0..3).collect());
}

/// Ready, held, delayed and dead messages, and the queue itself; acked ones stay gone.
pub async fn messages_survive_reopening(harness: &dyn BrokerHarness) {
    let broker = declared(harness).await;
    publish(&broker, 0..10).await;
    let mut consumer = consume(&broker, 5).await;
    let mut taken = take(&mut consumer, 5).await;
    taken.remove(0).ack();
    taken.remove(0).retry(Duration::from_secs(3600)).await.unwrap();
    taken.remove(0).dead("gone").await.unwrap();
    drop((taken, consumer));
    depth_becomes(&broker, GROUP, depth(7, 0, 1, 1)).await;

    let broker = harness.reopen(broker).await;
    depth_becomes(&broker, GROUP, depth(7, 0, 1, 1)).await;
    assert_eq!(broker.dead_letters(QUEUE, GROUP, 10).await.unwrap()[0].reason, "gone");
    publish(&broker, 10..11).await;
    let mut consumer = consume(&broker, 100).await;
    assert_eq!(seqs(&take(&mut consumer, 8).await), (3..11).collect());
}

pub async fn check_names_the_service(harness: &dyn BrokerHarness) {
    let broker = declared(harness).await;
    assert!(!broker.check().await.unwrap().is_empty());
    publish(&broker, 0..1).await;
    next(&mut consume(&broker, 1).await).await.ack();
}

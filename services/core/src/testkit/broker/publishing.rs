//! Cases of publishing: the promise of a confirm.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::harness::{BrokerHarness, GROUP, GROUP_SECOND, QUEUE};
use super::support::{consume, declared, depth, depth_becomes, message, messages, next, publish, seq, seqs, take};
use crate::ports::broker::{Confirm, Message};

pub async fn a_confirmed_message_arrives_with_every_field(harness: &dyn BrokerHarness) {
    let broker = declared(harness).await;
    let traceparent = Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned());
    let sent = Message { attempt: 3, traceparent, handler: "send-mail".into(), ..message(u64::MAX >> 1) };
    assert_eq!(broker.publish(QUEUE, vec![sent.clone()]).await.unwrap(), [Confirm::Confirmed]);

    let mut consumer = consume(&broker, 10).await;
    let delivery = next(&mut consumer).await;
    assert_eq!(delivery.message, sent);
    assert_eq!((delivery.redeliveries, &delivery.given_up), (0, &None));
    delivery.ack();
}

pub async fn a_foreign_message_without_any_field_arrives(harness: &dyn BrokerHarness) {
    let broker = declared(harness).await;
    let body = Bytes::from_static(b"\x00\xff not ours");
    let empty = || "".into();
    let sent = Message {
        id: empty(),
        handler: "".into(),
        run: "".into(),
        seq: None,
        attempt: 1,
        timestamp_ms: 0,
        traceparent: None,
        body,
    };
    let large = Message { body: Bytes::from(vec![7; 200_000]), ..sent.clone() };
    let nothing = Message { body: Bytes::new(), ..sent.clone() };
    let batch = vec![sent, large, nothing];
    assert_eq!(broker.publish(QUEUE, batch.clone()).await.unwrap(), vec![Confirm::Confirmed; 3]);

    let mut consumer = consume(&broker, 10).await;
    let received: Vec<Message> = take(&mut consumer, 3).await.into_iter().map(|delivery| delivery.message).collect();
    assert_eq!(received, batch);
}

pub async fn an_empty_batch_is_confirmed(harness: &dyn BrokerHarness) {
    let broker = declared(harness).await;
    assert_eq!(broker.publish(QUEUE, Vec::new()).await.unwrap(), []);
}

pub async fn an_undeclared_queue_is_unroutable(harness: &dyn BrokerHarness) {
    let broker = declared(harness).await;
    let confirms = broker.publish("nowhere", messages(0..3)).await.unwrap();
    assert_eq!(confirms, vec![Confirm::Unroutable; 3]);
    publish(&broker, 0..1).await;
}

/// Answers of one publish never reach another, however their confirms and returns interleave.
pub async fn concurrent_publishes_get_their_own_confirms(harness: &dyn BrokerHarness) {
    let broker = declared(harness).await;
    let publishes = (0..200).map(|n| {
        let broker = broker.clone();
        async move {
            let (queue, expected) =
                if n % 2 == 0 { (QUEUE, Confirm::Confirmed) } else { ("nowhere", Confirm::Unroutable) };
            let count = n % 5 + 1;
            let confirms = broker.publish(queue, messages(n * 10..n * 10 + count)).await.unwrap();
            assert_eq!(confirms, vec![expected; usize::try_from(count).unwrap()], "publish {n}");
        }
    });
    futures::future::join_all(publishes).await;
    let expected: BTreeSet<u64> = (0..200).step_by(2).flat_map(|n| n * 10..=n * 10 + n % 5).collect();
    let mut consumer = consume(&broker, 1000).await;
    assert_eq!(seqs(&take(&mut consumer, expected.len()).await), expected);
}

pub async fn every_group_sees_each_message(harness: &dyn BrokerHarness) {
    let broker = declared(harness).await;
    broker.declare(QUEUE, GROUP_SECOND).await.unwrap();
    publish(&broker, 0..20).await;
    for group in [GROUP, GROUP_SECOND] {
        let mut consumer = broker.consume(QUEUE, group, 100).await.unwrap();
        let taken = take(&mut consumer, 20).await;
        assert_eq!(seqs(&taken), (0..20).collect());
        taken.into_iter().for_each(|delivery| delivery.ack());
    }
}

pub async fn a_large_batch_arrives_exactly_once(harness: &dyn BrokerHarness) {
    const COUNT: u64 = 5_000;
    let broker = declared(harness).await;
    publish(&broker, 0..COUNT).await;
    let mut consumer = consume(&broker, 100).await;
    let mut seen = BTreeSet::new();
    while seen.len() < usize::try_from(COUNT).unwrap() {
        let delivery = next(&mut consumer).await;
        assert!(seen.insert(seq(&delivery)), "{} came twice", seq(&delivery));
        assert_eq!(delivery.redeliveries, 0);
        delivery.ack();
    }
    depth_becomes(&broker, GROUP, depth(0, 0, 0, 0)).await;
}

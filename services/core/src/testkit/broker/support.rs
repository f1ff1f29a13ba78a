//! The steps that many cases share: messages, consumers that are waited for, and depths that become right.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{FutureExt as _, StreamExt as _};

use super::harness::{BrokerHarness, GROUP, QUEUE, WAIT};
use crate::ports::broker::{Broker, Confirm, Consumer, Delivery, Depth, Message};

/// A connection with [`QUEUE`] declared for [`GROUP`].
pub(super) async fn declared(harness: &dyn BrokerHarness) -> Arc<dyn Broker> {
    let broker = harness.connect().await;
    broker.declare(QUEUE, GROUP).await.unwrap();
    broker
}

pub(super) fn message(seq: u64) -> Message {
    Message {
        id: format!("run-{seq}"),
        handler: "record".into(),
        run: "run".into(),
        seq: Some(seq),
        attempt: 1,
        timestamp_ms: 1_700_000_000_123,
        traceparent: None,
        body: Bytes::from(format!("{{\"seq\":{seq}}}")),
    }
}

pub(super) fn messages(seqs: std::ops::Range<u64>) -> Vec<Message> {
    seqs.map(message).collect()
}

pub(super) async fn publish(broker: &Arc<dyn Broker>, seqs: std::ops::Range<u64>) {
    let count = usize::try_from(seqs.end - seqs.start).unwrap();
    let confirms = broker.publish(QUEUE, messages(seqs)).await.unwrap();
    assert_eq!(confirms, vec![Confirm::Confirmed; count]);
}

pub(super) async fn consume(broker: &Arc<dyn Broker>, prefetch: u16) -> Consumer {
    broker.consume(QUEUE, GROUP, prefetch).await.unwrap()
}

pub(super) async fn next(consumer: &mut Consumer) -> Delivery {
    let next = tokio::time::timeout(WAIT, consumer.deliveries.next()).await;
    next.expect("a delivery in time").expect("the stream goes on").expect("a delivery")
}

pub(super) async fn take(consumer: &mut Consumer, count: usize) -> Vec<Delivery> {
    let mut taken = Vec::with_capacity(count);
    while taken.len() < count {
        taken.push(next(consumer).await);
    }
    taken
}

/// Nothing is there for `consumer` now.
pub(super) fn has_nothing(consumer: &mut Consumer) -> bool {
    consumer.deliveries.next().now_or_never().is_none()
}

pub(super) fn seq(delivery: &Delivery) -> u64 {
    delivery.message.seq.expect("our messages have a seq")
}

pub(super) fn seqs(deliveries: &[Delivery]) -> BTreeSet<u64> {
    let seqs: BTreeSet<u64> = deliveries.iter().map(seq).collect();
    assert_eq!(seqs.len(), deliveries.len(), "a message came twice");
    seqs
}

/// Asks until the depth is as `expected`; `unacked` counts only where the broker says it.
pub(super) async fn depth_becomes(broker: &Arc<dyn Broker>, group: &str, expected: Depth) {
    let mut last = None;
    let reached = async {
        loop {
            let depth = broker.depth(QUEUE, group).await.unwrap();
            let unacked = depth.unacked.and(expected.unacked);
            if depth == (Depth { unacked, ..expected }) {
                return;
            }
            last = Some(depth);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    if tokio::time::timeout(WAIT, reached).await.is_err() {
        panic!("the depth of {group} is {last:?}, expected {expected:?}");
    }
}

pub(super) fn depth(ready: u64, unacked: u64, delayed: u64, dead: u64) -> Depth {
    Depth { ready, unacked: Some(unacked), delayed, dead }
}

//! The conformance suite of the broker port. Every adapter runs the same cases: see [`broker_conformance!`].
//!
//! Nothing sleeps to let something happen: a case waits for deliveries, or asks for the depth until it is right. That something
//! does *not* happen is shown by where every message is instead.

mod consuming;
mod keeping;
mod publishing;
mod settling;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::{FutureExt as _, StreamExt as _};

use crate::ports::broker::{Broker, Confirm, Consumer, Delivery, Depth, Message};

pub use consuming::*;
pub use keeping::*;
pub use publishing::*;
pub use settling::*;

/// The queue and groups that the cases declare, so that a harness can remove them afterwards.
pub const QUEUE: &str = "jobs";
pub const GROUP: &str = "main";
pub const GROUP_SECOND: &str = "second";
/// The longest that a case waits for one thing before it fails.
const WAIT: Duration = Duration::from_secs(30);

/// Gives a case its own, empty store. One harness serves one case.
#[async_trait]
pub trait Harness: Send + Sync {
    /// A connection to the harness's store; the same one again where only one process may have it.
    async fn connect(&self) -> Arc<dyn Broker>;

    /// Ends `broker`, the only one left, and connects anew to what it kept.
    async fn reopen(&self, broker: Arc<dyn Broker>) -> Arc<dyn Broker>;

    /// Removes what the case left in the store.
    async fn clean_up(&self) {}
}

/// One `#[tokio::test]` for each case, with the harness that `$harness` (an async expression) makes for it.
#[macro_export]
macro_rules! broker_conformance {
    ($harness:expr) => {
        $crate::broker_conformance! { @cases $harness;
            a_confirmed_message_arrives_with_every_field
            a_foreign_message_without_any_field_arrives
            an_empty_batch_is_confirmed
            an_undeclared_queue_is_unroutable
            concurrent_publishes_get_their_own_confirms
            every_group_sees_each_message
            a_large_batch_arrives_exactly_once
            prefetch_bounds_what_a_consumer_holds
            messages_arrive_in_the_order_of_their_confirms
            two_consumers_share_a_queue
            a_waiting_consumer_wakes_for_a_message
            what_a_dropped_consumer_held_comes_back
            a_dropped_delivery_stays_with_its_consumer
            a_closed_consumer_has_sent_its_acks_and_gives_back_the_rest
            a_slow_job_does_not_hold_back_its_neighbours
            only_what_was_acked_is_settled
            a_retry_waits_and_counts_the_attempt
            a_dead_message_keeps_its_reason
            what_is_given_back_comes_again_at_once
            a_lost_consumers_delivery_settles_nothing
            depth_says_where_messages_are
            the_depth_of_an_undeclared_queue_is_not_found
            purge_removes_the_ready_messages_only
            declaring_again_keeps_what_is_there
            messages_survive_reopening
            check_names_the_service
        }
    };
    (@cases $harness:expr; $($case:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let harness = $harness.await;
                $crate::testkit::broker::$case(&harness).await;
                $crate::testkit::broker::Harness::clean_up(&harness).await;
            }
        )*
    };
}

// === what the cases share ===

/// A connection with [`QUEUE`] declared for [`GROUP`].
async fn declared(harness: &dyn Harness) -> Arc<dyn Broker> {
    let broker = harness.connect().await;
    broker.declare(QUEUE, GROUP).await.unwrap();
    broker
}

fn message(seq: u64) -> Message {
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

fn messages(seqs: std::ops::Range<u64>) -> Vec<Message> {
    seqs.map(message).collect()
}

async fn publish(broker: &Arc<dyn Broker>, seqs: std::ops::Range<u64>) {
    let count = usize::try_from(seqs.end - seqs.start).unwrap();
    let confirms = broker.publish(QUEUE, messages(seqs)).await.unwrap();
    assert_eq!(confirms, vec![Confirm::Confirmed; count]);
}

async fn consume(broker: &Arc<dyn Broker>, prefetch: u16) -> Consumer {
    broker.consume(QUEUE, GROUP, prefetch).await.unwrap()
}

async fn next(consumer: &mut Consumer) -> Delivery {
    let next = tokio::time::timeout(WAIT, consumer.deliveries.next()).await;
    next.expect("a delivery in time").expect("the stream goes on").expect("a delivery")
}

async fn take(consumer: &mut Consumer, count: usize) -> Vec<Delivery> {
    let mut taken = Vec::with_capacity(count);
    while taken.len() < count {
        taken.push(next(consumer).await);
    }
    taken
}

/// Nothing is there for `consumer` now.
fn has_nothing(consumer: &mut Consumer) -> bool {
    consumer.deliveries.next().now_or_never().is_none()
}

fn seq(delivery: &Delivery) -> u64 {
    delivery.message.seq.expect("our messages have a seq")
}

fn seqs(deliveries: &[Delivery]) -> BTreeSet<u64> {
    let seqs: BTreeSet<u64> = deliveries.iter().map(seq).collect();
    assert_eq!(seqs.len(), deliveries.len(), "a message came twice");
    seqs
}

/// Asks until the depth is as `expected`; `unacked` counts only where the broker says it.
async fn depth_becomes(broker: &Arc<dyn Broker>, group: &str, expected: Depth) {
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

fn depth(ready: u64, unacked: u64, delayed: u64, dead: u64) -> Depth {
    Depth { ready, unacked: Some(unacked), delayed, dead }
}

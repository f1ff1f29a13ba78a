//! Cases of the depth: the broker's word about a queue, of a run or by name.

use std::sync::Arc;

use super::fickle::{Fickle, Mood};
use super::harness::PublisherHarness;
use super::support::{PRODUCER, publish, publisher, range, run, run_of, take, until_ready};
use crate::error::ErrorKind;
use crate::ids::DEFAULT_GROUP;
use crate::ports::broker::Depth;
use crate::testkit::ledger::support::assert_refused;

const EMPTY: Depth = Depth { ready: 0, unacked: Some(0), delayed: 0, dead: 0 };

pub async fn the_depth_of_a_queue_that_is_not_there_is_empty(harness: &impl PublisherHarness) {
    let (spec, publisher) = (run(harness).await, publisher(harness).await);
    assert_eq!(publisher.depth(&spec.run_id).await.unwrap(), EMPTY, "nobody has published yet");
    assert_eq!(publisher.depth_of("nowhere", DEFAULT_GROUP).await.unwrap(), EMPTY);
    publish(&*publisher, &spec.run_id, &range(0..1)).await.unwrap();
    assert_eq!(publisher.depth_of(&spec.queue, "nobody").await.unwrap(), EMPTY, "the queue has no such group");
}

pub async fn depth_counts_the_jobs_of_the_run(harness: &impl PublisherHarness) {
    let (spec, publisher) = (run(harness).await, publisher(harness).await);
    publish(&*publisher, &spec.run_id, &range(0..30)).await.unwrap();
    let depth = until_ready(30, || publisher.depth(&spec.run_id)).await;
    assert_eq!((depth.delayed, depth.dead), (0, 0));
    take(harness, &spec, DEFAULT_GROUP, 10).await;
    publish(&*publisher, &spec.run_id, &range(30..35)).await.unwrap();
    until_ready(25, || publisher.depth(&spec.run_id)).await;
}

pub async fn depth_is_that_of_the_deepest_group(harness: &impl PublisherHarness) {
    let (spec, publisher) = (run_of(harness, &["audit", "billing"]).await, publisher(harness).await);
    publish(&*publisher, &spec.run_id, &range(0..30)).await.unwrap();
    take(harness, &spec, "audit", 30).await;
    until_ready(0, || publisher.depth_of(&spec.queue, "audit")).await;
    until_ready(30, || publisher.depth(&spec.run_id)).await;
}

pub async fn depth_of_asks_by_queue_and_group(harness: &impl PublisherHarness) {
    let (spec, publisher) = (run_of(harness, &["audit", "billing"]).await, publisher(harness).await);
    publish(&*publisher, &spec.run_id, &range(0..30)).await.unwrap();
    take(harness, &spec, "billing", 20).await;
    until_ready(30, || publisher.depth_of(&spec.queue, "audit")).await;
    until_ready(10, || publisher.depth_of(&spec.queue, "billing")).await;
}

/// Unknown is never zero.
pub async fn a_depth_that_cannot_be_read_is_an_error(harness: &impl PublisherHarness) {
    let broker = Arc::new(Fickle::new(harness.backends().broker.clone()));
    let publisher = harness.publisher(PRODUCER, broker.clone()).await;
    let spec = run(harness).await;
    broker.becomes(Mood::Away);
    assert_refused(publisher.depth(&spec.run_id).await, ErrorKind::Unavailable);
    assert_refused(publisher.depth_of(&spec.queue, DEFAULT_GROUP).await, ErrorKind::Unavailable);
}

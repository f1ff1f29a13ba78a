//! The steps that many cases share: a run in the ledger, a publisher on the plain broker, and the jobs that arrive.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;

use super::harness::PublisherHarness;
use crate::error::Result;
use crate::groups::Groups;
use crate::ids::RunId;
use crate::job::Range;
use crate::ports::RangePublisher;
use crate::ports::broker::{Depth, Message};
use crate::run::RunSpec;
use crate::testkit::ledger::support::spec;
use crate::trace::Sampling;

/// The producer's id, as an answer names it.
pub(super) const PRODUCER: &str = "producer-7";
/// The longest that a case waits for one thing: longer than a publisher may take to say that it cannot publish.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(20);

/// A run of the default group that is in the ledger.
pub(super) async fn run(harness: &impl PublisherHarness) -> RunSpec {
    created(harness, spec(None)).await
}

/// A run of these groups that is in the ledger.
pub(super) async fn run_of(harness: &impl PublisherHarness, groups: &[&str]) -> RunSpec {
    created(harness, RunSpec { groups: Groups::new(groups.iter().copied()).unwrap(), ..spec(None) }).await
}

pub(super) async fn created(harness: &impl PublisherHarness, spec: RunSpec) -> RunSpec {
    harness.backends().ledger.runs.create(&spec, "").await.unwrap();
    spec
}

/// A publisher named [`PRODUCER`] on the broker as it is.
pub(super) async fn publisher(harness: &impl PublisherHarness) -> Arc<dyn RangePublisher> {
    harness.publisher(PRODUCER, harness.backends().broker.clone()).await
}

pub(super) fn range(seqs: std::ops::Range<u64>) -> Range {
    Range { first: seqs.start, count: seqs.end - seqs.start, scheduled_at_ms: 1_700_000_001_000 }
}

/// Publishes, and fails where no answer comes in time: a publisher never hangs.
pub(super) async fn publish(publisher: &dyn RangePublisher, run: &RunId, range: &Range) -> Result<String> {
    let publishing = publisher.publish(run, range, Sampling::NONE);
    tokio::time::timeout(PATIENCE, publishing).await.expect("a publisher answers in time")
}

/// Takes `count` messages of the run's queue for `group`, and acknowledges them. Answers how often each seq came.
pub(super) async fn take(
    harness: &impl PublisherHarness,
    spec: &RunSpec,
    group: &str,
    count: usize,
) -> BTreeMap<u64, u64> {
    let mut times = BTreeMap::new();
    for message in messages(harness, spec, group, count).await {
        *times.entry(message.seq.expect("a producer says the seq")).or_default() += 1;
    }
    times
}

/// The next `count` messages of the run's queue for `group`.
pub(super) async fn messages(
    harness: &impl PublisherHarness,
    spec: &RunSpec,
    group: &str,
    count: usize,
) -> Vec<Message> {
    let mut consumer = harness.backends().broker.consume(&spec.queue, group, 100).await.unwrap();
    let mut taken = Vec::with_capacity(count);
    let taking = async {
        while taken.len() < count {
            let delivery = consumer.deliveries.next().await.expect("the stream goes on").expect("a delivery");
            taken.push(delivery.message.clone());
            delivery.ack();
        }
    };
    tokio::time::timeout(PATIENCE, taking).await.unwrap_or_else(|_| panic!("no {count} messages of group {group}"));
    consumer.close().await;
    taken
}

/// Asks until `ready` is the number of ready jobs: a broker's reading may be a few seconds old.
pub(super) async fn until_ready<F: Future<Output = Result<Depth>>>(ready: u64, ask: impl Fn() -> F) -> Depth {
    let asking = async {
        loop {
            let depth = ask().await.expect("the broker answers");
            if depth.ready == ready {
                return depth;
            }
            tokio::time::sleep(POLL).await;
        }
    };
    tokio::time::timeout(PATIENCE, asking).await.unwrap_or_else(|_| panic!("the depth never says {ready} ready jobs"))
}

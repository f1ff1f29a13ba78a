//! Cases of publishing: `Ok` means that every job is in every group's queue, and a range may be published again.

use std::collections::BTreeMap;

use serde_json::Value;

use super::harness::PublisherHarness;
use super::support::{PRODUCER, messages, publish, publisher, range, run, run_of, take};
use crate::ids::{DEFAULT_GROUP, JobId};
use crate::job::{Job, RANGE_JOBS_MAX, Range};

/// Every seq of a range, each so many times.
fn each(range: &Range, times: u64) -> BTreeMap<u64, u64> {
    range.seqs().map(|seq| (seq, times)).collect()
}

pub async fn every_job_is_confirmed_and_the_producer_named(harness: &impl PublisherHarness) {
    let (spec, publisher, range) = (run(harness).await, publisher(harness).await, range(7..27));
    assert_eq!(publish(&*publisher, &spec.run_id, &range).await.unwrap(), PRODUCER);

    let mut arrived = messages(harness, &spec, DEFAULT_GROUP, 20).await;
    arrived.sort_by_key(|message| message.seq);
    for (seq, message) in range.seqs().zip(&arrived) {
        let job: Job = serde_json::from_slice(&message.body).expect("the body is a job");
        let id = JobId::new(spec.run_id.clone(), seq).to_string();
        assert_eq!((&message.id, message.seq, message.attempt), (&id, Some(seq), 1));
        assert_eq!((&job.job_id, job.seq, job.scheduled_at), (&id, seq, range.scheduled_at_ms));
        assert_eq!((&job.queue, &job.handler), (&spec.queue, &spec.handler));
        assert_eq!(Value::from(job.payload), Value::from(spec.payload.clone()));
    }
}

/// So many that they are published in several parts, at the same time as another range of the run.
pub async fn a_range_of_many_chunks_arrives_whole(harness: &impl PublisherHarness) {
    let (spec, publisher) = (run(harness).await, publisher(harness).await);
    let (first, second) = (range(0..RANGE_JOBS_MAX), range(RANGE_JOBS_MAX..RANGE_JOBS_MAX + 1_000));
    let of = |range| publish(&*publisher, &spec.run_id, range);
    let (one, other) = futures::join!(of(&first), of(&second));
    assert_eq!((one.unwrap().as_str(), other.unwrap().as_str()), (PRODUCER, PRODUCER));
    let all = range(0..second.end());
    assert_eq!(take(harness, &spec, DEFAULT_GROUP, all.count as usize).await, each(&all, 1));
}

pub async fn a_range_may_be_published_again_by_anybody(harness: &impl PublisherHarness) {
    let (spec, range) = (run(harness).await, range(0..30));
    let broker = &harness.backends().broker;
    let (one, two) = (harness.publisher("one", broker.clone()).await, harness.publisher("two", broker.clone()).await);
    for (publisher, id) in [(&one, "one"), (&one, "one"), (&two, "two")] {
        assert_eq!(publish(&**publisher, &spec.run_id, &range).await.unwrap(), id);
    }
    assert_eq!(
        take(harness, &spec, DEFAULT_GROUP, 90).await,
        each(&range, 3),
        "no duplicate is dropped before a worker"
    );
}

pub async fn every_group_of_the_run_gets_each_job(harness: &impl PublisherHarness) {
    let (spec, publisher, range) =
        (run_of(harness, &["audit", "billing"]).await, publisher(harness).await, range(0..40));
    publish(&*publisher, &spec.run_id, &range).await.unwrap();
    for group in ["audit", "billing"] {
        assert_eq!(take(harness, &spec, group, 40).await, each(&range, 1), "{group}");
    }
}

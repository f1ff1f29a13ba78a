//! Cases of what is not published: the kind of the error says if the range may be tried again.

use std::sync::Arc;

use super::fickle::{Fickle, Mood};
use super::harness::PublisherHarness;
use super::support::{PRODUCER, created, publish, publisher, range, run, take};
use crate::error::ErrorKind;
use crate::ids::DEFAULT_GROUP;
use crate::job::{RANGE_JOBS_MAX, Range};
use crate::run::RunSpec;
use crate::testkit::ledger::support::{assert_refused, spec};

pub async fn an_unknown_run_is_not_found(harness: &impl PublisherHarness) {
    let (publisher, unknown) = (publisher(harness).await, spec(None).run_id);
    assert_refused(publish(&*publisher, &unknown, &range(0..1)).await, ErrorKind::NotFound);
    assert_refused(publisher.depth(&unknown).await, ErrorKind::NotFound);
}

pub async fn a_range_without_jobs_or_with_too_many_is_refused(harness: &impl PublisherHarness) {
    let (spec, publisher) = (run(harness).await, publisher(harness).await);
    let endless = Range { first: u64::MAX, count: 2, scheduled_at_ms: 0 };
    for wrong in [range(5..5), range(0..RANGE_JOBS_MAX + 1), endless] {
        assert_refused(publish(&*publisher, &spec.run_id, &wrong).await, ErrorKind::InvalidArgument);
    }
}

/// The one error that says that trying again is in vain.
pub async fn a_run_that_no_message_can_carry_is_unpublishable(harness: &impl PublisherHarness) {
    let publisher = publisher(harness).await;
    let wordy = created(harness, RunSpec { handler: "h".repeat(300), ..spec(None) }).await;
    for _ in 0..2 {
        let refused = publish(&*publisher, &wordy.run_id, &range(0..1)).await;
        assert_refused(refused, ErrorKind::Unpublishable);
    }
    let plain = run(harness).await;
    assert_eq!(publish(&*publisher, &plain.run_id, &range(0..1)).await.unwrap(), PRODUCER, "another run is not harmed");
}

pub async fn a_broker_that_takes_nothing_is_an_error_in_time_and_no_end(harness: &impl PublisherHarness) {
    let broker = Arc::new(Fickle::new(harness.backends().broker.clone()));
    let publisher = harness.publisher(PRODUCER, broker.clone()).await;
    let (spec, range) = (run(harness).await, range(0..300));
    for mood in [Mood::Away, Mood::Full, Mood::Unroutable] {
        broker.becomes(mood);
        let error = publish(&*publisher, &spec.run_id, &range).await.unwrap_err();
        assert!(error.is_retryable(), "{mood:?}: {error:?}");
    }
    broker.becomes(Mood::Well);
    assert_eq!(publish(&*publisher, &spec.run_id, &range).await.unwrap(), PRODUCER);
    assert_eq!(take(harness, &spec, DEFAULT_GROUP, 300).await.len(), 300, "nothing of the failed tries was half done");
}

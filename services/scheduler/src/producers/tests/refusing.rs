//! Producers that are refused, or refuse, and ranges that nobody can publish, on paused time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use paceline_core::ids::RunId;
use paceline_core::job::Range;
use paceline_core::ports::RangePublisher;
use paceline_core::ports::broker::Depth;
use paceline_core::trace::Sampling;
use paceline_core::{Error, ErrorKind, Result};
use paceline_runtime::lifecycle::Shutdown;
use tokio::time::Instant;

use super::stub::{IS_REFUSED, KNOWS_NO_RUN, QUEUE_IS_FULL, REFUSES, WELL, in_time, only, publish, stubs};
use crate::producers::pool::{Producers, WAIT_MAX};

/// The broker that refuses one producer may take another's; a wrong token or a wrong ledger is one producer's too.
#[tokio::test(start_paused = true)]
async fn whatever_a_producer_is_refused_another_is_tried_and_the_words_are_kept() {
    let cases = [(IS_REFUSED, "RabbitMQ refuses user"), (REFUSES, "token"), (KNOWS_NO_RUN, "not in the ledger")];
    for (mode, words) in cases {
        let (producers, [refused, well]) = stubs();
        refused.mode.store(mode, Ordering::Relaxed);
        for _ in 0..100 {
            publish(&producers).await.unwrap();
        }
        assert_eq!((refused.calls.load(Ordering::Relaxed), well.calls.load(Ordering::Relaxed)), (3, 100));
        well.mode.store(mode, Ordering::Relaxed);
        for _ in 0..3 {
            publish(&producers).await.unwrap_err();
        }
        let why = producers.check().unwrap_err();
        assert!(why.kind == ErrorKind::Unavailable && why.message.matches(words).count() == 2, "{why}");
        refused.mode.store(WELL, Ordering::Relaxed);
        tokio::time::sleep(WAIT_MAX).await;
        publish(&producers).await.expect("the one that is let in again");
        producers.check().unwrap();
    }
}

/// Its health knows nothing of the refusal: only a range closes the breaker, so nothing flickers.
#[tokio::test(start_paused = true)]
async fn one_that_is_well_and_refuses_ranges_stays_left_out_until_a_range_succeeds() {
    let ((producers, only), shutdown) = (only(), Shutdown::new());
    only.mode.store(REFUSES, Ordering::Relaxed);
    let story = async {
        for _ in 0..3 {
            publish(&producers).await.unwrap_err();
        }
        // Each waits for a cool-down of up to 1.5 s, which all must fit into the time of the test.
        for _ in 0..20 {
            publish(&producers).await.unwrap_err();
            assert!(producers.check().unwrap_err().message.contains("token"));
        }
        only.mode.store(WELL, Ordering::Relaxed);
        publish(&producers).await.unwrap();
        producers.check().unwrap();

        // Nobody has a range any more: after a while its own word must do.
        only.mode.store(REFUSES, Ordering::Relaxed);
        for _ in 0..3 {
            publish(&producers).await.unwrap_err();
        }
        only.mode.store(WELL, Ordering::Relaxed);
        let begun = Instant::now();
        while producers.check().is_err() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert!((5_000..7_000).contains(&begun.elapsed().as_millis()), "{:?}", begun.elapsed());
        shutdown.trigger();
    };
    in_time(story, producers.probe(shutdown.clone())).await;
}

/// A fault of the run is no producer's fault.
#[tokio::test(start_paused = true)]
async fn a_range_that_nobody_can_publish_is_tried_once_and_leaves_nobody_out() {
    struct Unable(AtomicU64);

    #[async_trait]
    impl RangePublisher for Unable {
        async fn publish(&self, _: &RunId, _: &Range, _: Sampling) -> Result<String> {
            self.0.fetch_add(1, Ordering::Relaxed);
            Err(Error::unpublishable("too large"))
        }

        async fn depth(&self, _: &RunId) -> Result<Depth> {
            Ok(Depth::default())
        }
    }

    let unable: [Arc<Unable>; 2] = std::array::from_fn(|_| Arc::new(Unable(AtomicU64::new(0))));
    let member = |unable: &Arc<Unable>| ("unable".to_owned(), unable.clone() as Arc<dyn RangePublisher>);
    let producers = Producers::in_process(unable.iter().map(member).collect());
    for _ in 0..10 {
        assert_eq!(publish(&producers).await.unwrap_err().kind, ErrorKind::Unpublishable);
    }
    assert_eq!(unable.map(|unable| unable.0.load(Ordering::Relaxed)), [5, 5]);
    producers.check().unwrap();
}

/// A queue that is full says nothing about the producer that found that out.
#[tokio::test(start_paused = true)]
async fn a_queue_that_takes_nothing_leaves_no_producer_out() {
    let (producers, [first, second]) = stubs();
    for stub in [&first, &second] {
        stub.mode.store(QUEUE_IS_FULL, Ordering::Relaxed);
    }
    for _ in 0..10 {
        assert_eq!(publish(&producers).await.unwrap_err().kind, ErrorKind::ResourceExhausted);
    }
    assert_eq!(first.calls.load(Ordering::Relaxed) + second.calls.load(Ordering::Relaxed), 10, "one producer is asked");
    producers.check().unwrap();
}

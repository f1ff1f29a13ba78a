//! Ranges of a queue that took nothing the last time, on paused time.

use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::future::join_all;
use paceline_core::job::Range;
use paceline_core::trace::Sampling;
use tokio::time::Instant;

use super::stub::{FAILS, HANGS, WELL, only, publish, run, stubs};
use crate::producers::admission::Ask;
use crate::producers::pool::WAIT_MAX;

/// A queue that may hang for long must not be what decides about a producer.
#[tokio::test(start_paused = true)]
async fn a_suspect_range_is_no_probe_and_waits_for_none() {
    let (producers, only) = only();
    let suspect = || async {
        let range = Range { first: 0, count: 1, scheduled_at_ms: 0 };
        producers.publish(&run(), &range, Ask::Suspect, Sampling::NONE).await
    };
    suspect().await.unwrap();
    only.mode.store(FAILS, Ordering::Relaxed);
    for _ in 0..3 {
        publish(&producers).await.unwrap_err();
    }
    only.mode.store(WELL, Ordering::Relaxed);
    tokio::time::sleep(WAIT_MAX).await;
    let begun = Instant::now();
    assert!(suspect().await.unwrap_err().message.contains("away"));
    assert_eq!(begun.elapsed(), Duration::ZERO);
    publish(&producers).await.unwrap();
    suspect().await.unwrap();
}

/// One run's queue hangs, and a range for it is larger than the window: the runs of other queues go on as if it were not there.
#[tokio::test(start_paused = true)]
async fn a_suspect_range_that_hangs_keeps_no_room_from_others_and_its_failure_is_its_own() {
    let (producers, [only]) = stubs();
    let (run, range) = (run(), Range { first: 0, count: 2_000, scheduled_at_ms: 0 });
    let suspects = (0..20).map(|_| producers.publish(&run, &range, Ask::Suspect, Sampling::NONE));
    only.mode.store(FAILS, Ordering::Relaxed);
    assert!(join_all(suspects).await.iter().all(Result::is_err));
    producers.check().expect("what became of them says nothing about the producer");
    only.mode.store(HANGS, Ordering::Relaxed);
    let hanging = join_all((0..20).map(|_| producers.publish(&run, &range, Ask::Suspect, Sampling::NONE)));
    let others = async {
        for _ in 0..1_000 {
            tokio::task::yield_now().await;
        }
        assert_eq!(only.calls.load(Ordering::Relaxed), 40, "all of them were let through");
        only.mode.store(WELL, Ordering::Relaxed);
        publish(&producers).await.unwrap();
    };
    let begun = Instant::now();
    tokio::select! { biased; _ = hanging => unreachable!("it hangs"), () = others => () }
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

/// Nobody asks these for their health. A suspect range that hangs must not be the one that decides about them, but may show that one is back.
#[tokio::test(start_paused = true)]
async fn without_health_a_suspect_range_decides_by_its_success_alone() {
    let (producers, [only]) = stubs();
    let (run, range) = (run(), Range { first: 0, count: 1, scheduled_at_ms: 0 });
    let suspect = || producers.publish(&run, &range, Ask::Suspect, Sampling::NONE);
    let leave_out = async || {
        only.mode.store(FAILS, Ordering::Relaxed);
        for _ in 0..3 {
            publish(&producers).await.unwrap_err();
        }
        suspect().await.unwrap_err();
        tokio::time::sleep(WAIT_MAX).await;
    };
    leave_out().await;
    only.mode.store(WELL, Ordering::Relaxed);
    suspect().await.unwrap();
    producers.check().unwrap();

    leave_out().await;
    only.mode.store(HANGS, Ordering::Relaxed);
    let begun = Instant::now();
    let others = async {
        tokio::task::yield_now().await;
        only.mode.store(WELL, Ordering::Relaxed);
        publish(&producers).await.unwrap();
    };
    tokio::select! { biased; _ = suspect() => unreachable!("it hangs"), () = others => () }
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

//! Cases: the numbers that people read are of one moment, and the rates are those of the last seconds.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::task::JoinSet;

use crate::ids::RunId;
use crate::ports::Ledger;
use crate::testkit::ledger::harness::LedgerHarness;
use crate::testkit::ledger::support::{GROUP, dead, numbers, owned, owned_with, processed, reserve, until};

const RANGES: u64 = 60;
const RANGE_JOBS: u64 = 50;

pub async fn a_snapshot_is_of_one_moment(harness: &impl LedgerHarness) {
    let ledger = harness.open().await;
    let owned = owned(&ledger, Some(RANGES * RANGE_JOBS)).await;
    let is_done = Arc::new(AtomicBool::new(false));
    let mut readers = JoinSet::new();
    for _ in 0..4 {
        readers.spawn(read_until(harness.open().await, owned.run.clone(), is_done.clone()));
    }
    let mut recorders = JoinSet::new();
    for _ in 0..RANGES {
        let range = reserve(&ledger, &owned, RANGE_JOBS).await.unwrap();
        let (handle, run) = (ledger.clone(), owned.run.clone());
        recorders.spawn(async move {
            let (good, bad) = (processed(&run, range.seqs().skip(5)), dead(&run, range.seqs().take(5)));
            handle.counts.record(GROUP, "worker", &[good, bad].concat()).await.unwrap();
        });
        ledger.ranges.confirm(&owned.run, owned.fence, &range, &format!("producer-{}", range.first % 3)).await.unwrap();
    }
    recorders.join_all().await;
    is_done.store(true, Ordering::Release);
    assert!(readers.join_all().await.into_iter().all(|reads| reads > 0));

    let end = numbers(&ledger, &owned.run).await;
    assert!(end.is_drained());
    assert_eq!((end.enqueued, end.published, end.processed, end.dead), (3_000, 3_000, 2_700, 300));
}

/// Reads until told to stop; answers how often.
async fn read_until(ledger: Ledger, run: RunId, is_done: Arc<AtomicBool>) -> u64 {
    let mut reads = 0;
    let mut before = numbers(&ledger, &run).await;
    while !is_done.load(Ordering::Acquire) {
        let now = numbers(&ledger, &run).await;
        assert!(now.processed + now.dead <= now.enqueued, "L1: {now:?}");
        assert!(now.published <= now.enqueued, "{now:?}");
        assert_eq!(now.enqueued - now.published, now.ranges_outstanding * RANGE_JOBS, "{now:?}");
        assert_eq!(now.workers.values().sum::<u64>(), now.processed, "{now:?}");
        assert_eq!(now.producers.values().sum::<u64>(), now.published, "{now:?}");
        assert_eq!(now.enqueued, now.record.cursor);
        assert!(now.processed >= before.processed && now.enqueued >= before.enqueued, "{before:?} then {now:?}");
        (before, reads) = (now, reads + 1);
    }
    reads
}

pub async fn rates_cover_the_last_whole_seconds(harness: &impl LedgerHarness) {
    let ledger = harness.open().await;
    let owned = owned_with(&ledger, 300).await;
    ledger.counts.record(GROUP, "w", &processed(&owned.run, 0..120)).await.unwrap();
    ledger.counts.record(GROUP, "w", &dead(&owned.run, 120..130)).await.unwrap();
    // The running second is not part of the window, so it takes up to a second.
    let full = until("the window to hold what was done", async || {
        let now = numbers(&ledger, &owned.run).await;
        assert!(now.enqueued_in_window <= 300 && now.processed_in_window <= 120, "{now:?}");
        (now.enqueued_in_window == 300 && now.processed_in_window == 120).then_some(now)
    })
    .await;
    assert_eq!((full.enqueued, full.processed, full.dead), (300, 120, 10));
    let elsewhere = ledger.counts.snapshot(&owned.run, "idle").await.unwrap().unwrap();
    assert_eq!((elsewhere.enqueued_in_window, elsewhere.processed_in_window), (300, 0));
}

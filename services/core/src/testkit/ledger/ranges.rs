//! Cases: jobs come into being by being reserved, and are published by being confirmed.

use tokio::task::JoinSet;

use crate::error::ErrorKind;
use crate::job::{RANGE_JOBS_MAX, Range};
use crate::ports::ranges::Reservation;
use crate::run::RunState;
use crate::testkit::ledger::harness::LedgerHarness;
use crate::testkit::ledger::support::{
    assert_refused, become_state, numbers, owned, owned_with, pacing, read, reservation, reserve,
};

pub async fn ranges_follow_each_other_and_are_outstanding_in_order(harness: &impl LedgerHarness) {
    let ledger = harness.open().await;
    let owned = owned(&ledger, None).await;
    let mut reserved = Vec::new();
    for (index, count) in [1, 9, 90, RANGE_JOBS_MAX, 1, 3].into_iter().enumerate() {
        let due_ms = 1_700_000_000_000 - index as i64;
        let request = Reservation { scheduled_at_ms: due_ms, pacing: pacing(count), ..reservation(count, 0) };
        let revision = read(&ledger, &owned.run).await.revision;
        let range = ledger.ranges.reserve(&owned.run, owned.fence, &Reservation { revision, ..request }).await.unwrap();
        let first = reserved.last().map_or(0, Range::end);
        assert_eq!(range, Range { first, count, scheduled_at_ms: due_ms });
        reserved.push(range);
        let record = read(&ledger, &owned.run).await;
        assert_eq!((record.cursor, record.pacing, record.revision), (range.end(), pacing(count), revision));
    }
    assert_eq!(ledger.ranges.outstanding(&owned.run).await.unwrap(), reserved);
    let numbers = numbers(&ledger, &owned.run).await;
    assert_eq!((numbers.enqueued, numbers.published, numbers.ranges_outstanding), (10_104, 0, 6));

    let too_many =
        ledger.ranges.reserve(&owned.run, owned.fence, &reservation(RANGE_JOBS_MAX + 1, numbers.record.revision)).await;
    assert_refused(too_many, ErrorKind::InvalidArgument);
}

pub async fn a_total_is_reserved_exactly(harness: &impl LedgerHarness) {
    let ledger = harness.open().await;
    let owned = owned(&ledger, Some(25)).await;
    let mut counts = Vec::new();
    for _ in 0..4 {
        counts.push(reserve(&ledger, &owned, 10).await.unwrap().count);
    }
    assert_eq!(counts, [10, 10, 5, 0]);
    assert_eq!(ledger.ranges.outstanding(&owned.run).await.unwrap().len(), 3, "an empty range is not outstanding");
    assert_eq!(read(&ledger, &owned.run).await.cursor, 25);
}

pub async fn a_stale_revision_or_a_run_that_is_not_running_reserves_nothing(harness: &impl LedgerHarness) {
    let ledger = harness.open().await;
    let owned = owned_with(&ledger, 5).await;
    let old = read(&ledger, &owned.run).await.revision;
    become_state(&ledger, &owned.run, RunState::Paused).await.unwrap();
    assert_refused(reserve(&ledger, &owned, 1).await, ErrorKind::FailedPrecondition);
    become_state(&ledger, &owned.run, RunState::Running).await.unwrap();
    let stale = Reservation { pacing: pacing(77), ..reservation(1, old) };
    assert_refused(ledger.ranges.reserve(&owned.run, owned.fence, &stale).await, ErrorKind::Aborted);
    assert_eq!(reserve(&ledger, &owned, 1).await.unwrap().first, 5, "it goes on where it was");
    become_state(&ledger, &owned.run, RunState::Stopping).await.unwrap();
    let before = read(&ledger, &owned.run).await;
    assert_refused(reserve(&ledger, &owned, 1).await, ErrorKind::FailedPrecondition);
    assert_eq!(read(&ledger, &owned.run).await, before);
    assert_eq!((before.cursor, ledger.ranges.outstanding(&owned.run).await.unwrap().len()), (6, 2));
}

pub async fn concurrent_reservations_share_no_job(harness: &impl LedgerHarness) {
    let ledger = harness.open().await;
    let owned = owned(&ledger, Some(100)).await;
    let revision = read(&ledger, &owned.run).await.revision;
    let mut callers = JoinSet::new();
    for _ in 0..16 {
        let (handle, run, fence) = (ledger.clone(), owned.run.clone(), owned.fence);
        callers.spawn(async move { handle.ranges.reserve(&run, fence, &reservation(7, revision)).await.unwrap() });
    }
    let mut ranges = callers.join_all().await;
    ranges.retain(|range| range.count > 0);
    ranges.sort();
    assert_eq!(ranges.iter().flat_map(Range::seqs).collect::<Vec<_>>(), (0..100).collect::<Vec<_>>());
    assert_eq!(ledger.ranges.outstanding(&owned.run).await.unwrap(), ranges);
}

pub async fn a_range_is_confirmed_once(harness: &impl LedgerHarness) {
    let ledger = harness.open().await;
    let owned = owned(&ledger, None).await;
    let (first, second) = (reserve(&ledger, &owned, 10).await.unwrap(), reserve(&ledger, &owned, 4).await.unwrap());
    let confirm =
        async |range: Range, producer| ledger.ranges.confirm(&owned.run, owned.fence, &range, producer).await.unwrap();
    for other in [Range { first: 14, ..first }, Range { count: 9, ..first }, Range { first: 1, ..first }] {
        confirm(other, "producer-1").await;
    }
    assert_eq!(numbers(&ledger, &owned.run).await.published, 0, "only what is outstanding can be confirmed");

    confirm(first, "producer-1").await;
    confirm(first, "producer-1").await;
    confirm(first, "producer-2").await;
    assert_eq!(ledger.ranges.outstanding(&owned.run).await.unwrap(), [second]);
    confirm(second, "producer-2").await;
    let numbers = numbers(&ledger, &owned.run).await;
    assert_eq!((numbers.enqueued, numbers.published, numbers.ranges_outstanding), (14, 14, 0));
    assert_eq!(numbers.producers, [("producer-1".into(), 10), ("producer-2".into(), 4)].into());
}

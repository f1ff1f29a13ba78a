//! Cases: one owner a run, and what a former owner can still do: nothing.

use std::time::Duration;

use tokio::task::JoinSet;

use crate::error::ErrorKind;
use crate::run::RunState;
use crate::testkit::ledger::harness::LedgerHarness;
use crate::testkit::ledger::support::{
    LONG, Owned, assert_refused, numbers, owned, pacing, read, reserve, spec, until,
};

/// Short enough to wait for its end.
const SHORT: Duration = Duration::from_millis(30);

pub async fn a_run_has_one_owner(harness: &impl LedgerHarness) {
    let ledger = harness.open().await;
    let owned = owned(&ledger, None).await;
    assert_eq!(ledger.leases.acquire(&owned.run, "other", LONG).await.unwrap(), None);
    assert_eq!(
        ledger.leases.acquire(&owned.run, "owner", LONG).await.unwrap(),
        Some(owned.fence),
        "renewing keeps the epoch"
    );
    assert_eq!(harness.open().await.leases.acquire(&owned.run, "other", LONG).await.unwrap(), None);
}

pub async fn one_of_concurrent_takers_becomes_the_owner(harness: &impl LedgerHarness) {
    let ledger = harness.open().await;
    let spec = spec(None);
    ledger.runs.create(&spec, "").await.unwrap();
    let mut takers = JoinSet::new();
    for name in 0..8 {
        let (handle, run) = (harness.open().await, spec.run_id.clone());
        takers.spawn(async move { handle.leases.acquire(&run, &format!("owner-{name}"), LONG).await.unwrap() });
    }
    assert_eq!(takers.join_all().await.into_iter().flatten().count(), 1);
}

pub async fn an_expired_lease_goes_on_with_a_new_epoch(harness: &impl LedgerHarness) {
    let ledger = harness.open().await;
    let spec = spec(None);
    ledger.runs.create(&spec, "").await.unwrap();
    let first = ledger.leases.acquire(&spec.run_id, "first", SHORT).await.unwrap().unwrap();
    let second =
        until("the lease to end", async || ledger.leases.acquire(&spec.run_id, "second", SHORT).await.unwrap()).await;
    assert!(second > first);
    let third =
        until("the lease to end", async || ledger.leases.acquire(&spec.run_id, "third", LONG).await.unwrap()).await;
    assert!(third > second);
    assert_eq!(ledger.leases.acquire(&spec.run_id, "third", LONG).await.unwrap(), Some(third));
}

pub async fn a_released_lease_is_free_at_once(harness: &impl LedgerHarness) {
    let ledger = harness.open().await;
    let owned = owned(&ledger, None).await;
    ledger.leases.release(&owned.run, owned.fence).await.unwrap();
    assert_refused(reserve(&ledger, &owned, 1).await, ErrorKind::Aborted);
    assert_refused(ledger.leases.renew(&owned.run, owned.fence, LONG, &pacing(1)).await, ErrorKind::Aborted);

    let next = ledger.leases.acquire(&owned.run, "next", LONG).await.unwrap().expect("it is free");
    assert!(next > owned.fence);
    // A late release by the former owner is no error, and does not take it from the next one.
    ledger.leases.release(&owned.run, owned.fence).await.unwrap();
    assert_eq!(ledger.leases.acquire(&owned.run, "other", LONG).await.unwrap(), None);
}

pub async fn renewing_prolongs_the_lease_and_stores_the_pacing(harness: &impl LedgerHarness) {
    let ledger = harness.open().await;
    let spec = spec(None);
    ledger.runs.create(&spec, "").await.unwrap();
    let fence = ledger.leases.acquire(&spec.run_id, "owner", Duration::from_millis(1)).await.unwrap().unwrap();
    let kept = ledger.leases.renew(&spec.run_id, fence, LONG, &pacing(17)).await.unwrap();
    assert_eq!(kept.pacing, pacing(17));
    assert_eq!(kept, read(&ledger, &spec.run_id).await);
    assert_eq!(ledger.leases.acquire(&spec.run_id, "other", LONG).await.unwrap(), None, "it is good for its new ttl");
}

pub async fn a_stale_fence_changes_nothing(harness: &impl LedgerHarness) {
    let ledger = harness.open().await;
    let spec = spec(Some(10));
    ledger.runs.create(&spec, "").await.unwrap();
    let fence = ledger.leases.acquire(&spec.run_id, "old", SHORT).await.unwrap().unwrap();
    let old = Owned { run: spec.run_id.clone(), fence };
    let range = reserve(&ledger, &old, 10).await.unwrap();
    until("the lease to end", async || ledger.leases.acquire(&old.run, "new", LONG).await.unwrap()).await;

    let before = (numbers(&ledger, &old.run).await, ledger.ranges.outstanding(&old.run).await.unwrap());
    assert_refused(reserve(&ledger, &old, 1).await, ErrorKind::Aborted);
    assert_refused(ledger.ranges.confirm(&old.run, old.fence, &range, "producer").await, ErrorKind::Aborted);
    assert_refused(ledger.leases.renew(&old.run, old.fence, LONG, &pacing(99)).await, ErrorKind::Aborted);
    for next in RunState::ALL {
        assert_refused(ledger.leases.advance(&old.run, old.fence, next, Some("no")).await, ErrorKind::Aborted);
    }
    ledger.leases.release(&old.run, old.fence).await.unwrap();
    assert_eq!(ledger.leases.acquire(&old.run, "old", LONG).await.unwrap(), None);

    let after = (numbers(&ledger, &old.run).await, ledger.ranges.outstanding(&old.run).await.unwrap());
    assert_eq!((after.0.record, after.1), (before.0.record, before.1));
    assert_eq!((after.0.enqueued, after.0.published), (10, 0));
}

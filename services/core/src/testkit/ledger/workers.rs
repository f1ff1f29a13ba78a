//! Cases of the workers port: heartbeats, and the list of workers that are alive.

use std::time::Duration;

use crate::ports::Ledger;
use crate::ports::workers::WorkerInfo;
use crate::testkit::ledger::harness::LedgerHarness;
use crate::testkit::ledger::support::{LONG, until, worker};

/// The heartbeat as it was told, without its age.
async fn told(ledger: &Ledger) -> Vec<WorkerInfo> {
    let known = ledger.workers.alive().await.unwrap();
    known.into_iter().map(|worker| WorkerInfo { age_ms: 0, ..worker }).collect()
}

pub async fn how_long_ago_a_worker_was_heard_is_by_the_ledgers_clock(harness: &impl LedgerHarness) {
    let ledger = harness.open().await;
    // By its own clock it is years ago.
    ledger.workers.announce(&worker("slow clock", 1), LONG).await.unwrap();
    let ahead = WorkerInfo { heartbeat_at_ms: 4_000_000_000_000, ..worker("fast clock", 1) };
    ledger.workers.announce(&ahead, LONG).await.unwrap();
    for worker in harness.open().await.workers.alive().await.unwrap() {
        assert!(worker.age_ms < LONG.as_millis() as u64, "{worker:?}");
    }
    until("an age of the fast clock's", async || {
        let known = ledger.workers.alive().await.unwrap();
        known.iter().all(|worker| worker.age_ms > 0).then_some(())
    })
    .await;
}

pub async fn workers_are_listed_until_they_leave(harness: &impl LedgerHarness) {
    let ledger = harness.open().await;
    assert_eq!(ledger.workers.alive().await.unwrap(), []);
    for (id, count) in [("b", 1), ("a", 1), ("b", u64::MAX)] {
        ledger.workers.announce(&worker(id, count), LONG).await.unwrap();
    }
    let mut found = told(&harness.open().await).await;
    found.sort_by(|x, y| x.worker_id.cmp(&y.worker_id));
    assert_eq!(found, [worker("a", 1), worker("b", u64::MAX)], "each with its last word");

    ledger.workers.forget("a").await.unwrap();
    ledger.workers.forget("a").await.unwrap();
    assert_eq!(told(&ledger).await, [worker("b", u64::MAX)]);
}

pub async fn a_worker_that_falls_silent_is_forgotten(harness: &impl LedgerHarness) {
    let ledger = harness.open().await;
    ledger.workers.announce(&worker("loud", 1), LONG).await.unwrap();
    ledger.workers.announce(&worker("silent", 1), Duration::from_millis(30)).await.unwrap();
    until("the silent worker to go", async || {
        let workers = told(&ledger).await;
        assert!(workers.contains(&worker("loud", 1)));
        (workers.len() == 1).then_some(())
    })
    .await;
    // Its next heartbeat brings it back.
    ledger.workers.announce(&worker("silent", 2), LONG).await.unwrap();
    assert_eq!(ledger.workers.alive().await.unwrap().len(), 2);
}

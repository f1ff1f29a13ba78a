//! Cases: the list of workers, and what the ledger says of itself.

use super::*;
use crate::ports::workers::{QueueLoad, WorkerInfo};

pub(super) fn worker(id: &str, processed: u64) -> WorkerInfo {
    WorkerInfo {
        worker_id: id.into(),
        version: "1.2.3".into(),
        queue: DEFAULT_QUEUE.into(),
        group: GROUP.into(),
        host: "höst: 1".into(),
        pid: 42,
        started_at_ms: 1_700_000_000_000,
        heartbeat_at_ms: 1_700_000_001_000,
        age_ms: 0,
        processed,
        dead: 2,
        retried: 3,
        held: 10,
        stalled: 1,
        loads: [(DEFAULT_QUEUE.into(), load())].into(),
        busy: Some(0.125),
        is_stopping: true,
        batches: 4,
        batched_documents: 5,
        stored_latency: "HISTFAAAAC94nJNpmSzMwMDAxAABzFCaEUoz2X+AMABRuQNU".into(),
    }
}

fn load() -> QueueLoad {
    QueueLoad {
        slots: 1_280,
        held: 10,
        per_second: 97.5,
        hold_ms: Some(12.25),
        measured_at_ms: Some(1_700_000_000_500),
    }
}

/// The heartbeat as it was told, without its age.
async fn told(ledger: &Ledger) -> Vec<WorkerInfo> {
    let known = ledger.workers.alive().await.unwrap();
    known.into_iter().map(|worker| WorkerInfo { age_ms: 0, ..worker }).collect()
}

pub async fn how_long_ago_a_worker_was_heard_is_by_the_ledgers_clock(harness: &impl Harness) {
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

pub async fn workers_are_listed_until_they_leave(harness: &impl Harness) {
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

pub async fn a_worker_that_falls_silent_is_forgotten(harness: &impl Harness) {
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

pub async fn check_says_what_the_ledger_is(harness: &impl Harness) {
    let said = harness.open().await.mesh.check().await.unwrap();
    assert!(said.contains(|c: char| c.is_ascii_digit()), "a version is part of {said:?}");
}

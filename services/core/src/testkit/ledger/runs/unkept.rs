//! Cases: the ledger knows which ends the sink does not keep yet, from the step on that ends a run until somebody notes it.

use crate::ids::RunId;
use crate::ports::Ledger;
use crate::run::{KeptRun, RunRecord, RunState};
use crate::testkit::ledger::harness::LedgerHarness;
use crate::testkit::ledger::support::{LONG, become_state, owned, spec};

async fn unkept(ledger: &Ledger) -> Vec<RunId> {
    ledger.runs.unkept(None, 100).await.unwrap()
}

/// Walks a run without jobs to `end`; answers it as it is then.
async fn ended(ledger: &Ledger, end: RunState) -> RunRecord {
    let owned = owned(ledger, Some(0)).await;
    let drains = match end {
        RunState::Completed => RunState::Draining,
        RunState::Stopped => RunState::Stopping,
        _ => RunState::Failed,
    };
    let advance = async |next| ledger.leases.advance(&owned.run, owned.fence, next, Some("why")).await.unwrap();
    advance(drains).await;
    advance(end).await
}

pub async fn every_end_is_unkept_until_it_is_noted(harness: &impl LedgerHarness) {
    let ledger = harness.open().await;
    let going = owned(&ledger, Some(10)).await;
    become_state(&ledger, &going.run, RunState::Paused).await.unwrap();
    assert_eq!(unkept(&ledger).await, [], "a run that goes on has no end");
    for end in [RunState::Completed, RunState::Stopped, RunState::Failed] {
        let record = ended(&ledger, end).await;
        let run = &record.spec.run_id;
        assert_eq!(unkept(&ledger).await, std::slice::from_ref(run), "{end}");
        ledger.runs.note_kept(run, record.revision - 1).await.unwrap();
        assert_eq!(unkept(&ledger).await, std::slice::from_ref(run), "its end is another revision");
        for _ in 0..2 {
            ledger.runs.note_kept(run, record.revision).await.unwrap();
            assert_eq!(unkept(&ledger).await, []);
        }
        // A call that changes nothing ends nothing anew.
        ledger.runs.restore(&KeptRun { revision: 0, state: RunState::Running, ..record.clone() }).await.unwrap();
        ledger.runs.active().await.unwrap();
        ledger.runs.note_kept(run, record.revision).await.unwrap();
    }
    // A caller's step ends a run too.
    let failed = become_state(&ledger, &going.run, RunState::Failed).await.unwrap();
    assert_eq!(unkept(&ledger).await, std::slice::from_ref(&going.run));
    ledger.runs.note_kept(&going.run, failed.revision).await.unwrap();
    ledger.runs.note_kept(&spec(None).run_id, 1).await.unwrap();
    assert_eq!(unkept(&ledger).await, []);
}

/// A run that ended, went on because the sink knew more of it, and ended again.
pub async fn an_end_that_is_noted_late_leaves_a_later_end_unkept(harness: &impl LedgerHarness) {
    let ledger = harness.open().await;
    let first = ended(&ledger, RunState::Stopped).await;
    let run = first.spec.run_id.clone();
    let goes_on = KeptRun { revision: first.revision + 3, ..first.clone() }.reopened();
    assert_eq!(ledger.runs.restore(&goes_on).await.unwrap().state, RunState::Stopping);
    assert_eq!(unkept(&ledger).await, [], "it has no end any more");
    assert_eq!(ledger.runs.active().await.unwrap(), std::slice::from_ref(&run));

    let fence = ledger.leases.acquire(&run, "owner", LONG).await.unwrap().expect("it is the owner's still");
    let again = ledger.leases.advance(&run, fence, RunState::Stopped, None).await.unwrap();
    ledger.runs.note_kept(&run, first.revision).await.unwrap();
    assert_eq!(unkept(&ledger).await, std::slice::from_ref(&run));
    ledger.runs.note_kept(&run, again.revision).await.unwrap();
    assert_eq!(unkept(&ledger).await, []);

    // Restored as ended, from whoever knew of it.
    let failed = KeptRun { state: RunState::Failed, revision: 9, ended_at_ms: Some(5), ..first.clone() };
    let spec = spec(None);
    let other = KeptRun { spec: spec.clone(), ..failed };
    ledger.runs.restore(&other).await.unwrap();
    assert_eq!(unkept(&ledger).await, std::slice::from_ref(&spec.run_id));
    ledger.runs.note_kept(&spec.run_id, 9).await.unwrap();
    assert_eq!(unkept(&ledger).await, []);
}

pub async fn unkept_runs_come_in_order_and_pages(harness: &impl LedgerHarness) {
    let ledger = harness.open().await;
    let mut records = Vec::new();
    for _ in 0..7 {
        records.push(ended(&ledger, RunState::Failed).await);
    }
    records.sort_by(|a, b| a.spec.run_id.cmp(&b.spec.run_id));
    let runs: Vec<RunId> = records.iter().map(|record| record.spec.run_id.clone()).collect();
    for limit in [1, 3, 7, 100] {
        let mut all: Vec<RunId> = Vec::new();
        loop {
            let page = ledger.runs.unkept(all.last(), limit).await.unwrap();
            assert!(page.len() <= limit, "{} with limit {limit}", page.len());
            if page.is_empty() {
                break;
            }
            all.extend(page);
        }
        assert_eq!(all, runs, "limit {limit}");
    }
    ledger.runs.note_kept(&runs[3], records[3].revision).await.unwrap();
    let left: Vec<RunId> = runs.iter().filter(|run| **run != runs[3]).cloned().collect();
    assert_eq!(unkept(&ledger).await, left);
    assert_eq!(ledger.runs.unkept(Some(&runs[3]), 2).await.unwrap(), runs[4..6]);
}

pub async fn unkept_runs_survive_reopening(harness: &impl LedgerHarness) {
    let ledger = harness.open().await;
    let (kept, open) = (ended(&ledger, RunState::Completed).await, ended(&ledger, RunState::Completed).await);
    ledger.runs.note_kept(&kept.spec.run_id, kept.revision).await.unwrap();
    drop(ledger);
    assert_eq!(unkept(&harness.open().await).await, [open.spec.run_id]);
}

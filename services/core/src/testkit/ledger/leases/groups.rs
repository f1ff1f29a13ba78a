//! Cases: a run ends when each of the groups that it was made for has ended.

use crate::error::{ErrorKind, Result};
use crate::groups::Groups;
use crate::ports::Ledger;
use crate::run::{KeptRun, RunSpec, RunState};
use crate::testkit::ledger::harness::LedgerHarness;
use crate::testkit::ledger::support::{
    GROUP, LONG, Owned, assert_refused, dead, pacing, processed, read, reserve, spec,
};

/// Starts a run for `groups` and reserves and confirms all of its ten jobs.
async fn published(ledger: &Ledger, groups: &[&str]) -> Owned {
    let spec = RunSpec { groups: Groups::new(groups.iter().copied()).unwrap(), ..spec(Some(10)) };
    ledger.runs.create(&spec, "").await.unwrap();
    let fence = ledger.leases.acquire(&spec.run_id, "owner", LONG).await.unwrap().expect("nobody else knows the run");
    let owned = Owned { run: spec.run_id, fence };
    let range = reserve(ledger, &owned, 10).await.unwrap();
    ledger.ranges.confirm(&owned.run, fence, &range, "producer").await.unwrap();
    owned
}

async fn advance(ledger: &Ledger, owned: &Owned, next: RunState) -> Result<RunState> {
    ledger.leases.advance(&owned.run, owned.fence, next, None).await.map(|record| record.state)
}

pub async fn a_run_ends_only_when_each_of_its_groups_is_drained(harness: &impl LedgerHarness) {
    let ledger = harness.open().await;
    for (drains, end) in [(RunState::Draining, RunState::Completed), (RunState::Stopping, RunState::Stopped)] {
        // Whichever of them is the last.
        for [first, last] in [["audit", "billing"], ["billing", "audit"]] {
            let owned = published(&ledger, &["audit", "billing"]).await;
            advance(&ledger, &owned, drains).await.unwrap();
            let all = processed(&owned.run, 0..10);
            ledger.counts.record(first, "worker", &all).await.unwrap();
            assert_refused(advance(&ledger, &owned, end).await, ErrorKind::FailedPrecondition);
            ledger.counts.record(last, "worker", &all[..9]).await.unwrap();
            assert_refused(advance(&ledger, &owned, end).await, ErrorKind::FailedPrecondition);
            assert_eq!(read(&ledger, &owned.run).await.state, drains, "what is refused changes nothing");

            ledger.counts.record(last, "worker", &dead(&owned.run, 9..10)).await.unwrap();
            assert_eq!(advance(&ledger, &owned, end).await.unwrap(), end);
        }
    }
}

pub async fn a_group_that_the_run_does_not_have_neither_ends_it_nor_holds_it(harness: &impl LedgerHarness) {
    let ledger = harness.open().await;
    let owned = published(&ledger, &["billing"]).await;
    advance(&ledger, &owned, RunState::Draining).await.unwrap();
    // The default group counts only where it is one of the run's.
    ledger.counts.record(GROUP, "worker", &processed(&owned.run, 0..10)).await.unwrap();
    assert_refused(advance(&ledger, &owned, RunState::Completed).await, ErrorKind::FailedPrecondition);

    ledger.counts.record("billing", "worker", &processed(&owned.run, 0..10)).await.unwrap();
    ledger.counts.record("elsewhere", "worker", &processed(&owned.run, 0..3)).await.unwrap();
    assert_eq!(advance(&ledger, &owned, RunState::Completed).await.unwrap(), RunState::Completed);
}

pub async fn a_restored_run_keeps_its_groups(harness: &impl LedgerHarness) {
    let ledger = harness.open().await;
    let spec = RunSpec { groups: Groups::new(["audit", "billing"]).unwrap(), ..spec(Some(10)) };
    let (run, state) = (spec.run_id.clone(), RunState::Draining);
    let lost = KeptRun { spec, state, revision: 4, cursor: 10, pacing: pacing(0), ended_at_ms: None, failure: None };
    assert_eq!(ledger.runs.restore(&lost).await.unwrap().spec, lost.spec);
    let fence = ledger.leases.acquire(&run, "owner", LONG).await.unwrap().expect("it has no owner");
    let owned = Owned { run, fence };
    ledger.counts.record("billing", "worker", &processed(&owned.run, 0..10)).await.unwrap();
    assert_refused(advance(&ledger, &owned, RunState::Completed).await, ErrorKind::FailedPrecondition);
    ledger.counts.record("audit", "worker", &processed(&owned.run, 0..10)).await.unwrap();
    assert_eq!(advance(&ledger, &owned, RunState::Completed).await.unwrap(), RunState::Completed);
}

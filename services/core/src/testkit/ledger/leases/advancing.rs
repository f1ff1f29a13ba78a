//! Cases: the owner's steps along the state diagram, and what a run must have done before it ends.

use crate::error::ErrorKind;
use crate::run::RunState;
use crate::testkit::ledger::harness::LedgerHarness;
use crate::testkit::ledger::support::{GROUP, assert_refused, dead, in_state, owned, processed, read, reserve};

pub async fn owners_follow_the_state_diagram(harness: &impl LedgerHarness) {
    let ledger = harness.open().await;
    for from in RunState::ALL {
        for next in RunState::ALL {
            let owned = in_state(&ledger, from).await;
            let before = read(&ledger, &owned.run).await;
            let result = ledger.leases.advance(&owned.run, owned.fence, next, Some("because")).await;
            if from == next {
                assert_eq!(result.unwrap(), before, "being there already is a success");
            } else if from.may_become(next) {
                let after = result.unwrap();
                assert_eq!((after.state, after.revision), (next, before.revision + 1), "{from} to {next}");
                assert_eq!(
                    (after.ended_at_ms.is_some(), after.failure.as_deref()),
                    (next.is_terminal(), Some("because"))
                );
                assert_eq!(read(&ledger, &owned.run).await, after);
            } else {
                assert_refused(result, ErrorKind::FailedPrecondition);
                assert_eq!(read(&ledger, &owned.run).await, before, "{from} to {next}");
            }
        }
    }
}

pub async fn a_run_ends_only_when_it_is_drained(harness: &impl LedgerHarness) {
    let ledger = harness.open().await;
    let owned = owned(&ledger, Some(10)).await;
    let advance =
        async |next| ledger.leases.advance(&owned.run, owned.fence, next, None).await.map(|record| record.state);
    let first = reserve(&ledger, &owned, 4).await.unwrap();
    assert_refused(advance(RunState::Draining).await, ErrorKind::FailedPrecondition);
    let rest = reserve(&ledger, &owned, 6).await.unwrap();
    assert_eq!(advance(RunState::Draining).await.unwrap(), RunState::Draining);

    for range in [first, rest] {
        assert_refused(advance(RunState::Completed).await, ErrorKind::FailedPrecondition);
        ledger.ranges.confirm(&owned.run, owned.fence, &range, "producer").await.unwrap();
    }
    ledger.counts.record(GROUP, "worker", &processed(&owned.run, 0..9)).await.unwrap();
    ledger.counts.record("elsewhere", "worker", &processed(&owned.run, 0..10)).await.unwrap();
    assert_refused(advance(RunState::Completed).await, ErrorKind::FailedPrecondition);
    ledger.counts.record(GROUP, "worker", &dead(&owned.run, 9..10)).await.unwrap();
    assert_eq!(advance(RunState::Completed).await.unwrap(), RunState::Completed);
    assert_eq!(advance(RunState::Completed).await.unwrap(), RunState::Completed);
}

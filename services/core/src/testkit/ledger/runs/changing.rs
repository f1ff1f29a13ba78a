//! Cases: how callers change a run, and what a change leaves alone.

use tokio::task::JoinSet;

use crate::error::{ErrorKind, Result};
use crate::pacing::{NEVER_MS, Pacing, Rate};
use crate::run::{RunChange, RunRecord, RunSpec, RunState};
use crate::testkit::ledger::harness::LedgerHarness;
use crate::testkit::ledger::support::{
    GROUP, LONG, Owned, assert_refused, become_state, in_state, owned, owned_with, pacing, processed, read, reserve,
    until,
};

pub async fn a_change_applies_to_the_revision_it_was_made_for(harness: &impl LedgerHarness) {
    let ledger = harness.open().await;
    let owned = owned(&ledger, Some(10)).await;
    let before = read(&ledger, &owned.run).await;
    let faster = RunSpec { rate: Rate { jobs: 7, per_ns: 1_000_000 }, total: None, ..before.spec.clone() };
    let change = RunChange { expected_revision: before.revision, spec: faster.clone(), state: RunState::Paused };
    let after = ledger.runs.change(&owned.run, &change).await.unwrap();
    assert_eq!(
        after,
        RunRecord { spec: faster, state: RunState::Paused, revision: before.revision + 1, ..before.clone() }
    );
    assert_eq!(read(&ledger, &owned.run).await, after);

    assert_refused(ledger.runs.change(&owned.run, &change).await, ErrorKind::Aborted);
    let other_queue = RunSpec { queue: "other".into(), ..after.spec.clone() };
    let fixed = RunChange { expected_revision: after.revision, spec: other_queue, state: RunState::Running };
    assert_refused(ledger.runs.change(&owned.run, &fixed).await, ErrorKind::InvalidArgument);
    assert_eq!(read(&ledger, &owned.run).await, after, "what is refused changes nothing");

    // Asking for what is so already is a success, and no change.
    let same = RunChange { expected_revision: after.revision, spec: after.spec.clone(), state: after.state };
    assert_eq!(ledger.runs.change(&owned.run, &same).await.unwrap(), after);
}

pub async fn one_of_concurrent_changes_applies(harness: &impl LedgerHarness) {
    let ledger = harness.open().await;
    let owned = owned(&ledger, None).await;
    let before = read(&ledger, &owned.run).await;
    let mut callers = JoinSet::new();
    for jobs in 1..=8 {
        let (handle, run) = (harness.open().await, owned.run.clone());
        let spec = RunSpec { rate: Rate { jobs, ..before.spec.rate }, ..before.spec.clone() };
        let change = RunChange { expected_revision: before.revision, spec, state: before.state };
        callers.spawn(async move { handle.runs.change(&run, &change).await });
    }
    let (applied, refused): (Vec<_>, Vec<_>) = callers.join_all().await.into_iter().partition(Result::is_ok);
    assert_eq!(applied.len(), 1);
    refused.into_iter().for_each(|result| assert_refused(result, ErrorKind::Aborted));
    let after = read(&ledger, &owned.run).await;
    assert_eq!((applied[0].as_ref().unwrap(), after.revision), (&after, before.revision + 1));
}

pub async fn callers_follow_the_state_diagram(harness: &impl LedgerHarness) {
    let ledger = harness.open().await;
    for from in RunState::ALL {
        for next in RunState::ALL.into_iter().filter(|next| *next != from) {
            let owned = in_state(&ledger, from).await;
            let before = read(&ledger, &owned.run).await;
            // A step that needs a proof (all reserved, all drained) is the owner's.
            let is_callers = !matches!(next, RunState::Draining | RunState::Completed | RunState::Stopped);
            let result = become_state(&ledger, &owned.run, next).await;
            if from.may_become(next) && is_callers {
                let after = result.unwrap();
                assert_eq!((after.state, after.revision), (next, before.revision + 1), "{from} to {next}");
                assert_eq!(after.ended_at_ms.is_some(), next.is_terminal());
            } else {
                assert_refused(result, ErrorKind::FailedPrecondition);
                assert_eq!(read(&ledger, &owned.run).await, before, "{from} to {next}");
            }
        }
    }
}

/// Everything that was reserved is there still, and somebody can own the run again.
pub async fn a_failed_run_goes_on_where_it_was(harness: &impl LedgerHarness) {
    let ledger = harness.open().await;
    for next in [RunState::Running, RunState::Stopping] {
        let owned = owned_with(&ledger, 20).await;
        let waiting = ledger.ranges.outstanding(&owned.run).await.unwrap();
        ledger.leases.advance(&owned.run, owned.fence, RunState::Failed, Some("no queue")).await.unwrap();
        ledger.leases.release(&owned.run, owned.fence).await.unwrap();
        let failed = read(&ledger, &owned.run).await;
        assert!(failed.failure.is_some() && failed.ended_at_ms.is_some());
        assert_eq!(
            ledger.ranges.outstanding(&owned.run).await.unwrap(),
            waiting,
            "a failure publishes nothing and forgets nothing"
        );

        let again = become_state(&ledger, &owned.run, next).await.unwrap();
        let expected = RunRecord {
            state: next,
            revision: failed.revision + 1,
            ended_at_ms: None,
            failure: None,
            pacing: Pacing { as_of_ms: NEVER_MS, ..failed.pacing },
            ..failed.clone()
        };
        assert_eq!(again, expected);
        assert_eq!(read(&ledger, &owned.run).await, expected);
        assert!(ledger.runs.active().await.unwrap().contains(&owned.run), "somebody can find it");
        assert_eq!(become_state(&ledger, &owned.run, next).await.unwrap(), expected, "asking twice changes nothing");
        assert_eq!(ledger.ranges.outstanding(&owned.run).await.unwrap(), waiting);

        let fence = ledger.leases.acquire(&owned.run, "successor", LONG).await.unwrap().expect("nobody owns it");
        let owned = Owned { fence, ..owned };
        for range in &waiting {
            ledger.ranges.confirm(&owned.run, owned.fence, range, "producer").await.unwrap();
        }
        ledger.counts.record(GROUP, "worker", &processed(&owned.run, 0..20)).await.unwrap();
        match next {
            RunState::Running => {
                assert_eq!(reserve(&ledger, &owned, 5).await.unwrap().first, 20, "no number comes twice")
            }
            _ => {
                let ended = ledger.leases.advance(&owned.run, owned.fence, RunState::Stopped, None).await.unwrap();
                assert!(ended.ended_at_ms.is_some() && ended.failure.is_none());
                assert!(!ledger.runs.active().await.unwrap().contains(&owned.run));
            }
        }
    }
}

/// Whoever made it FAILED may have died at once, so the step that leads out says by itself that no time counts until then. What was
/// earned before stays, and a run that was only paused is left alone.
pub async fn a_run_earns_nothing_while_it_is_failed(harness: &impl LedgerHarness) {
    let ledger = harness.open().await;
    for (between, expected) in [(RunState::Failed, NEVER_MS), (RunState::Paused, pacing(17).as_of_ms)] {
        for (is_callers, next) in [(true, RunState::Running), (true, RunState::Stopping), (false, RunState::Running)] {
            let owned = owned(&ledger, None).await;
            ledger.leases.renew(&owned.run, owned.fence, LONG, &pacing(17)).await.unwrap();
            let step = async |next| ledger.leases.advance(&owned.run, owned.fence, next, None).await.unwrap();
            assert_eq!(step(between).await.pacing, pacing(17), "to {between}");
            let after =
                if is_callers { become_state(&ledger, &owned.run, next).await.unwrap() } else { step(next).await };
            assert_eq!(after.pacing, Pacing { as_of_ms: expected, ..pacing(17) }, "{between} to {next}");
            assert_eq!(read(&ledger, &owned.run).await, after);
        }
    }
}

/// Listing a run and taking it off the list may cross each other; what counts is its state.
pub async fn a_run_that_fails_and_goes_on_at_once_stays_active(harness: &impl LedgerHarness) {
    let ledger = harness.open().await;
    let owned = owned(&ledger, None).await;
    let (failing, resuming) = (harness.open().await, harness.open().await);
    for _ in 0..50 {
        let fail = failing.leases.advance(&owned.run, owned.fence, RunState::Failed, Some("no queue"));
        let resume = async {
            until("the failure", async || read(&resuming, &owned.run).await.failure).await;
            become_state(&resuming, &owned.run, RunState::Running).await.unwrap();
        };
        let looking = async {
            for _ in 0..5 {
                ledger.runs.active().await.unwrap();
            }
        };
        tokio::join!(fail, resume, looking).0.unwrap();
        assert_eq!(ledger.runs.active().await.unwrap(), std::slice::from_ref(&owned.run));
    }
}

pub async fn a_total_below_the_cursor_is_refused(harness: &impl LedgerHarness) {
    let ledger = harness.open().await;
    let owned = owned_with(&ledger, 20).await;
    let current = read(&ledger, &owned.run).await;
    let with_total = |total, revision| {
        let spec = RunSpec { total, ..current.spec.clone() };
        RunChange { expected_revision: revision, spec, state: RunState::Running }
    };
    let refused = ledger.runs.change(&owned.run, &with_total(Some(19), current.revision)).await;
    assert_refused(refused, ErrorKind::FailedPrecondition);
    assert_eq!(read(&ledger, &owned.run).await, current);
    let exact = ledger.runs.change(&owned.run, &with_total(Some(20), current.revision)).await.unwrap();
    assert_eq!(reserve(&ledger, &owned, 5).await.unwrap().count, 0, "the new total holds at once");
    let raised = ledger.runs.change(&owned.run, &with_total(Some(23), exact.revision)).await.unwrap();
    assert_eq!(reserve(&ledger, &owned, 5).await.unwrap().count, 3);
    let unlimited = ledger.runs.change(&owned.run, &with_total(None, raised.revision)).await.unwrap();
    assert_eq!((unlimited.spec.total, reserve(&ledger, &owned, 5).await.unwrap().count), (None, 5));

    // A run that drains has taken its total for good.
    become_state(&ledger, &owned.run, RunState::Stopping).await.unwrap();
    let current = read(&ledger, &owned.run).await;
    let late = RunChange { state: RunState::Stopping, ..with_total(Some(99), current.revision) };
    assert_refused(ledger.runs.change(&owned.run, &late).await, ErrorKind::FailedPrecondition);
}

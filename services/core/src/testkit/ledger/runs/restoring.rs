//! Cases: a ledger that was lost, or went back in time, is brought back to what the sink knows.

use tokio::task::JoinSet;

use crate::error::ErrorKind;
use crate::ids::RunId;
use crate::pacing::{NEVER_MS, Pacing, Rate};
use crate::ports::Ledger;
use crate::run::{KeptRun, RunRecord, RunSpec, RunState};
use crate::testkit::ledger::harness::LedgerHarness;
use crate::testkit::ledger::support::{
    GROUP, LONG, Owned, assert_refused, become_state, numbers, owned, owned_with, pacing, processed, read, reservation,
    reserve, spec,
};

fn kept(spec: RunSpec, revision: u64, cursor: u64) -> KeptRun {
    KeptRun { spec, state: RunState::Running, revision, cursor, pacing: pacing(3), ended_at_ms: None, failure: None }
}

fn stopped(run: KeptRun) -> KeptRun {
    KeptRun { state: RunState::Stopped, ended_at_ms: Some(1_700_000_099_000), failure: Some("enough".into()), ..run }
}

fn record_of(kept: KeptRun) -> RunRecord {
    let KeptRun { spec, state, revision, cursor, pacing, ended_at_ms, failure } = kept;
    RunRecord { spec, state, revision, cursor, pacing, ended_at_ms, failure }
}

/// The ledger's own time.
async fn ledger_ms(ledger: &Ledger, run: &RunId) -> u64 {
    u64::try_from(numbers(ledger, run).await.read_at_ms).unwrap()
}

pub async fn an_unknown_run_is_restored_whole(harness: &impl LedgerHarness) {
    let ledger = harness.open().await;
    let unlimited = kept(spec(None), 7, 5_000_000);
    let limited = KeptRun { state: RunState::Draining, ..kept(spec(Some(100)), 4, 100) };
    for kept in [unlimited, limited] {
        let run = kept.spec.run_id.clone();
        let expected = record_of(kept.clone());
        assert_eq!(ledger.runs.restore(&kept).await.unwrap(), expected);
        assert_eq!(read(&ledger, &run).await, expected);
        let found = numbers(&ledger, &run).await;
        assert_eq!((found.enqueued, found.published, found.ranges_outstanding), (kept.cursor, kept.cursor, 0));
        assert_eq!((found.processed, found.dead, found.in_flight()), (0, 0, kept.cursor));
        assert!(ledger.runs.list(None, 10).await.unwrap().contains(&run));
        assert!(ledger.runs.active().await.unwrap().contains(&run));
        // Its jobs exist again, so they are counted again.
        let counted =
            ledger.counts.record(GROUP, "w", &processed(&run, [0, kept.cursor - 1, kept.cursor])).await.unwrap();
        assert_eq!((counted.counted, counted.foreign), (2, 1));
    }
}

pub async fn a_restored_run_goes_on_where_it_was(harness: &impl LedgerHarness) {
    let ledger = harness.open().await;
    let lost = kept(spec(Some(60)), 3, 40);
    let run = lost.spec.run_id.clone();
    ledger.runs.restore(&lost).await.unwrap();
    let fence = ledger.leases.acquire(&run, "successor", LONG).await.unwrap().expect("it has no owner");
    let owned = Owned { run, fence };
    let range = reserve(&ledger, &owned, 100).await.unwrap();
    assert_eq!((range.first, range.count), (40, 20));
}

pub async fn a_restored_run_that_has_ended_is_not_active(harness: &impl LedgerHarness) {
    let ledger = harness.open().await;
    let unknown = stopped(kept(spec(Some(10)), 5, 10));
    assert_eq!(ledger.runs.restore(&unknown).await.unwrap(), record_of(unknown.clone()));
    let known = owned_with(&ledger, 10).await;
    let ended = stopped(KeptRun { revision: 9, ..read(&ledger, &known.run).await });
    assert_eq!(ledger.runs.restore(&ended).await.unwrap(), record_of(ended.clone()));
    assert_eq!(ledger.runs.active().await.unwrap(), []);
    assert_eq!(ledger.runs.list(None, 10).await.unwrap().len(), 2);

    // And one that has ended here, but went on by what is kept, is active again, without a trace of that end.
    let goes_on = KeptRun { state: RunState::Paused, revision: 12, ended_at_ms: None, failure: None, ..ended };
    assert_eq!(ledger.runs.restore(&goes_on).await.unwrap(), record_of(goes_on));
    assert_eq!(ledger.runs.active().await.unwrap(), [known.run]);
}

/// A ledger that had forgotten a part of the run stopped it.
pub async fn an_ended_run_with_a_lower_cursor_drains_once_more(harness: &impl LedgerHarness) {
    let ledger = harness.open().await;
    let owned = owned_with(&ledger, 10).await;
    let all = read(&ledger, &owned.run).await;
    let ended = stopped(KeptRun { revision: all.revision + 5, failure: None, ..all.clone() });
    ledger.runs.restore(&ended).await.unwrap();
    let further = KeptRun { revision: all.revision, cursor: all.cursor + 3, ..all.clone() };
    let after = ledger.runs.restore(&further).await.unwrap();
    assert_eq!((after.state, after.ended_at_ms, after.cursor), (RunState::Stopping, None, all.cursor + 3));
    assert_eq!(after.revision, ended.revision + 1);
    assert_eq!(ledger.runs.active().await.unwrap(), [owned.run]);
}

pub async fn a_lower_revision_takes_over_what_is_kept(harness: &impl LedgerHarness) {
    let ledger = harness.open().await;
    let owned = owned_with(&ledger, 20).await;
    let before = read(&ledger, &owned.run).await;
    let changed = RunSpec { rate: Rate { jobs: 9, per_ns: 1_000_000 }, total: Some(30), ..before.spec.clone() };
    let newer =
        KeptRun { spec: changed.clone(), state: RunState::Paused, revision: before.revision + 4, ..before.clone() };
    let after = ledger.runs.restore(&newer).await.unwrap();
    assert_eq!(
        after,
        RunRecord { spec: changed, state: RunState::Paused, revision: before.revision + 4, ..before.clone() }
    );
    assert_eq!(read(&ledger, &owned.run).await, after);

    // The owner keeps its lease, and learns of the change.
    assert_refused(
        ledger.ranges.reserve(&owned.run, owned.fence, &reservation(1, before.revision)).await,
        ErrorKind::Aborted,
    );
    assert_eq!(ledger.leases.renew(&owned.run, owned.fence, LONG, &pacing(5)).await.unwrap().revision, after.revision);
    become_state(&ledger, &owned.run, RunState::Running).await.unwrap();
    assert_eq!(reserve(&ledger, &owned, 50).await.unwrap().count, 10, "the kept total holds");
}

/// The ledger forgot that the run was taken out of FAILED.
pub async fn a_run_that_went_on_after_it_failed_takes_the_kept_pacing(harness: &impl LedgerHarness) {
    let ledger = harness.open().await;
    let owned = owned_with(&ledger, 20).await;
    let failed = ledger.leases.advance(&owned.run, owned.fence, RunState::Failed, Some("no queue")).await.unwrap();
    let newer = KeptRun { revision: failed.revision + 1, pacing: pacing(3), ..failed.clone() };
    assert_eq!(ledger.runs.restore(&newer).await.unwrap().pacing, failed.pacing, "it is FAILED still");
    let resumed = KeptRun {
        state: RunState::Running,
        revision: failed.revision + 2,
        pacing: Pacing { as_of_ms: NEVER_MS, ..pacing(4) },
        ended_at_ms: None,
        failure: None,
        ..failed.clone()
    };
    assert_eq!(ledger.runs.restore(&resumed).await.unwrap(), record_of(resumed.clone()));
    assert_eq!(read(&ledger, &owned.run).await, record_of(resumed));
}

pub async fn a_lower_cursor_rises_up_to_the_total(harness: &impl LedgerHarness) {
    let ledger = harness.open().await;
    let owned = owned(&ledger, Some(1_000)).await;
    let range = reserve(&ledger, &owned, 20).await.unwrap();
    ledger.counts.record(GROUP, "w", &processed(&owned.run, 0..7)).await.unwrap();
    let before = numbers(&ledger, &owned.run).await;
    for (cursor, expected) in [(500, 500), (900, 900), (1_700, 1_000)] {
        let current = read(&ledger, &owned.run).await;
        let further = KeptRun { cursor, pacing: pacing(99), ..current.clone() };
        let after = ledger.runs.restore(&further).await.unwrap();
        assert_eq!((after.cursor, after.revision), (expected, current.revision + 1));
        assert_eq!((after.state, &after.spec), (current.state, &current.spec));
        assert_eq!(after.pacing, pacing(99), "what was earned up to the old cursor is earned");
        assert_refused(
            ledger.ranges.reserve(&owned.run, owned.fence, &reservation(1, current.revision)).await,
            ErrorKind::Aborted,
        );
    }
    let after = numbers(&ledger, &owned.run).await;
    assert_eq!((after.enqueued, after.published, after.ranges_outstanding), (1_000, 980, 1));
    assert_eq!((after.processed, after.dead), (before.processed, before.dead));
    ledger.ranges.confirm(&owned.run, owned.fence, &range, "producer").await.unwrap();
    assert_eq!(numbers(&ledger, &owned.run).await.published, 1_000);

    // Both at once: whoever knew the run at any revision up to the kept one reads again.
    let current = read(&ledger, &owned.run).await;
    let spec = RunSpec { total: None, ..current.spec.clone() };
    let newer = KeptRun { spec, revision: current.revision + 3, cursor: 2_000, ..current.clone() };
    let after = ledger.runs.restore(&newer).await.unwrap();
    assert!(after.revision >= newer.revision, "{after:?}");
    assert_eq!((after.cursor, after.spec), (2_000, newer.spec));
}

pub async fn nothing_to_restore_changes_nothing(harness: &impl LedgerHarness) {
    let ledger = harness.open().await;
    let owned = owned_with(&ledger, 50).await;
    become_state(&ledger, &owned.run, RunState::Paused).await.unwrap();
    become_state(&ledger, &owned.run, RunState::Running).await.unwrap();
    let before = read(&ledger, &owned.run).await;
    let published = numbers(&ledger, &owned.run).await.published;
    let other = RunSpec { rate: Rate { jobs: 1, per_ns: 1 }, total: Some(60), ..before.spec.clone() };
    for (revision, cursor) in [(before.revision, 50), (before.revision, 3), (before.revision - 1, 50), (0, 0)] {
        let older = KeptRun { spec: other.clone(), revision, cursor, pacing: pacing(1), ..before.clone() };
        assert_eq!(ledger.runs.restore(&stopped(older)).await.unwrap(), before, "revision {revision} cursor {cursor}");
    }
    assert_eq!(read(&ledger, &owned.run).await, before);
    assert_eq!(numbers(&ledger, &owned.run).await.published, published);
    assert_eq!(reserve(&ledger, &owned, 100).await.unwrap().count, 100, "its owner did not notice");

    // A copy that equals the restored run restores nothing either.
    let current = read(&ledger, &owned.run).await;
    let further = KeptRun { revision: current.revision + 2, cursor: current.cursor + 10, ..current };
    let restored = ledger.runs.restore(&further).await.unwrap();
    assert_eq!(ledger.runs.restore(&further).await.unwrap(), restored, "twice equals once");
    assert_eq!(ledger.runs.restore(&restored.clone()).await.unwrap(), restored);
}

/// A lower total that is kept does not undo jobs that exist.
pub async fn a_kept_total_below_the_cursor_reserves_no_more(harness: &impl LedgerHarness) {
    let ledger = harness.open().await;
    let owned = owned_with(&ledger, 50).await;
    let before = read(&ledger, &owned.run).await;
    let spec = RunSpec { total: Some(30), ..before.spec.clone() };
    let newer = KeptRun { spec, revision: before.revision + 1, ..before.clone() };
    assert_eq!(ledger.runs.restore(&newer).await.unwrap().cursor, 50);
    let range = reserve(&ledger, &owned, 5).await.unwrap();
    assert_eq!((range.first, range.count), (50, 0));
}

pub async fn concurrent_restores_equal_one(harness: &impl LedgerHarness) {
    let ledger = harness.open().await;
    let lost = kept(spec(None), 6, 1_234);
    let mut callers = JoinSet::new();
    for step in 0..8 {
        let (handle, lost) = (harness.open().await, KeptRun { cursor: lost.cursor - step, ..lost.clone() });
        callers.spawn(async move { handle.runs.restore(&lost).await.unwrap() });
    }
    callers.join_all().await;
    let found = numbers(&ledger, &lost.spec.run_id).await;
    assert_eq!((found.enqueued, found.published), (1_234, 1_234));
}

pub async fn no_epoch_comes_twice_after_a_restore(harness: &impl LedgerHarness) {
    let ledger = harness.open().await;
    let lost = kept(spec(None), 1, 10);
    let run = lost.spec.run_id.clone();
    ledger.runs.restore(&lost).await.unwrap();
    let before_ms = ledger_ms(&ledger, &run).await;
    let first = ledger.leases.acquire(&run, "first", LONG).await.unwrap().unwrap();
    // A counter that starts again would hand out what an owner of the lost run may still hold.
    assert!(first.epoch >= before_ms, "{first:?} is not of the time {before_ms}");
    ledger.leases.renew(&run, first, LONG, &pacing(1)).await.unwrap();

    let mut last = first;
    for round in 0..5 {
        ledger.runs.restore(&KeptRun { revision: 10 + round, cursor: 20 + round, ..lost.clone() }).await.unwrap();
        ledger.leases.renew(&run, last, LONG, &pacing(1)).await.unwrap();
        ledger.leases.release(&run, last).await.unwrap();
        let next = ledger.leases.acquire(&run, "next", LONG).await.unwrap().unwrap();
        assert!(next > last, "also within a millisecond: {next:?} after {last:?}");
        assert_refused(ledger.leases.renew(&run, last, LONG, &pacing(1)).await, ErrorKind::Aborted);
        last = next;
    }
    let owned = Owned { run, fence: last };
    let range = reserve(&ledger, &owned, 3).await.unwrap();
    ledger.ranges.confirm(&owned.run, last, &range, "producer").await.unwrap();
    let ended = ledger.leases.advance(&owned.run, last, RunState::Failed, Some("told to")).await.unwrap();
    assert_eq!(ended.state, RunState::Failed, "an epoch of this size works in every step");
}

/// Every kind of number that a run has, as large as it may become: none is rounded on the way.
pub async fn large_numbers_are_restored_exactly(harness: &impl LedgerHarness) {
    let ledger = harness.open().await;
    let large = kept(spec(None), 9_007_199_254_740_000, 9_007_199_254_740_001);
    assert_eq!(ledger.runs.restore(&large).await.unwrap(), record_of(large.clone()));
    let further = KeptRun { cursor: large.cursor + 1, ..large.clone() };
    let after = ledger.runs.restore(&further).await.unwrap();
    assert_eq!((after.cursor, after.revision), (further.cursor, large.revision + 1));
    let found = numbers(&ledger, &large.spec.run_id).await;
    assert_eq!((found.enqueued, found.published), (further.cursor, further.cursor));
}

//! Cases: runs are started once, read back whole, and listed.

use serde_json::Map;
use tokio::task::JoinSet;

use crate::error::ErrorKind;
use crate::groups::Groups;
use crate::ids::RunId;
use crate::job::Range;
use crate::pacing::{CatchUp, Pacing};
use crate::ports::leases::Fence;
use crate::ports::runs::Created;
use crate::run::{RunChange, RunSpec, RunState, Snapshot};
use crate::testkit::ledger::harness::LedgerHarness;
use crate::testkit::ledger::support::{
    GROUP, LONG, Owned, assert_refused, become_state, dead, numbers, owned, owned_with, pacing, processed, read,
    reservation, reserve, spec, spec_of,
};

pub async fn a_run_reads_back_as_it_was_asked_for(harness: &impl LedgerHarness) {
    let ledger = harness.open().await;
    let with_all = RunSpec {
        total: Some(1_000_000_000),
        queue: "mail.out".into(),
        groups: Groups::new(["billing", "audit"]).unwrap(),
        handler: "http".into(),
        catch_up: CatchUp::Skip,
        ..spec(None)
    };
    for spec in [with_all, RunSpec { payload: Map::new(), ..spec(None) }] {
        assert_eq!(ledger.runs.find(&spec.run_id).await.unwrap(), None);
        assert_eq!(ledger.runs.create(&spec, "").await.unwrap(), Created::New);
        let record = read(&ledger, &spec.run_id).await;
        assert_eq!(record.spec, spec);
        assert_eq!((record.state, record.cursor, record.pacing), (RunState::Running, 0, Pacing::default()));
        assert_eq!((record.ended_at_ms, record.failure), (None, None));
    }
}

pub async fn a_request_starts_one_run(harness: &impl LedgerHarness) {
    let ledger = harness.open().await;
    let (first, again) = (spec(Some(5)), spec(Some(5)));
    assert_eq!(ledger.runs.create(&first, "request-1").await.unwrap(), Created::New);
    assert_eq!(ledger.runs.create(&again, "request-1").await.unwrap(), Created::Existing(first.run_id.clone()));
    assert_eq!(ledger.runs.find(&again.run_id).await.unwrap(), None, "a repeat makes no second run");

    // A repeat long after does not set the run back.
    become_state(&ledger, &first.run_id, RunState::Failed).await.unwrap();
    assert_eq!(ledger.runs.create(&again, "request-1").await.unwrap(), Created::Existing(first.run_id.clone()));
    assert_eq!(read(&ledger, &first.run_id).await.state, RunState::Failed);
    assert_eq!(ledger.runs.active().await.unwrap(), []);

    // No id is no request: each call is one of its own.
    for _ in 0..2 {
        assert_eq!(ledger.runs.create(&spec(None), "").await.unwrap(), Created::New);
    }
    assert_eq!(ledger.runs.list(None, 10).await.unwrap().len(), 3);
}

pub async fn concurrent_requests_start_one_run(harness: &impl LedgerHarness) {
    let ledger = harness.open().await;
    let mut callers = JoinSet::new();
    for _ in 0..8 {
        let (handle, spec) = (harness.open().await, spec(None));
        callers.spawn(async move { (spec.run_id.clone(), handle.runs.create(&spec, "same").await.unwrap()) });
    }
    let answers = callers.join_all().await;
    let new: Vec<&RunId> = answers.iter().filter(|(_, created)| *created == Created::New).map(|(run, _)| run).collect();
    let [started] = new[..] else { panic!("exactly one run is new: {answers:?}") };
    for (run, created) in &answers {
        assert!(run == started || *created == Created::Existing(started.clone()), "{created:?} instead of {started}");
    }
    assert_eq!(ledger.runs.list(None, 10).await.unwrap(), std::slice::from_ref(started));
    assert_eq!(ledger.runs.active().await.unwrap(), std::slice::from_ref(started));
    assert_eq!(read(&ledger, started).await.spec.run_id, *started);
}

pub async fn runs_are_listed_newest_first_in_pages(harness: &impl LedgerHarness) {
    let ledger = harness.open().await;
    assert_eq!(ledger.runs.list(None, 5).await.unwrap(), []);
    let mut newest_first = Vec::new();
    for age_ms in 0..7 {
        let spec = spec_of(RunId::generate(1_700_000_000_000 - age_ms), None);
        ledger.runs.create(&spec, "").await.unwrap();
        newest_first.push(spec.run_id);
    }
    assert_eq!(ledger.runs.list(None, 100).await.unwrap(), newest_first);
    assert_eq!(ledger.runs.list(None, 3).await.unwrap(), newest_first[..3]);
    assert_eq!(ledger.runs.list(Some(&newest_first[2]), 3).await.unwrap(), newest_first[3..6]);
    assert_eq!(ledger.runs.list(Some(&newest_first[5]), 3).await.unwrap(), newest_first[6..]);
    assert_eq!(ledger.runs.list(Some(&newest_first[6]), 3).await.unwrap(), []);
}

pub async fn ended_runs_are_no_longer_active(harness: &impl LedgerHarness) {
    let ledger = harness.open().await;
    let (failing, stopping, going) =
        (owned(&ledger, None).await, owned(&ledger, None).await, owned(&ledger, None).await);
    let active = async |expected: &[&Owned]| {
        let mut found = ledger.runs.active().await.unwrap();
        found.sort();
        let mut expected: Vec<RunId> = expected.iter().map(|owned| owned.run.clone()).collect();
        expected.sort();
        assert_eq!(found, expected);
    };
    active(&[&failing, &stopping, &going]).await;
    ledger.leases.advance(&failing.run, failing.fence, RunState::Failed, Some("no queue")).await.unwrap();
    become_state(&ledger, &stopping.run, RunState::Stopping).await.unwrap();
    become_state(&ledger, &going.run, RunState::Paused).await.unwrap();
    active(&[&stopping, &going]).await;
    ledger.leases.advance(&stopping.run, stopping.fence, RunState::Stopped, None).await.unwrap();
    active(&[&going]).await;
    assert_eq!(ledger.runs.list(None, 10).await.unwrap().len(), 3, "ended runs stay listed");
}

pub async fn an_unknown_run_is_named_as_such(harness: &impl LedgerHarness) {
    let ledger = harness.open().await;
    let (run, fence) = (spec(None).run_id, Fence { epoch: 1 });
    let range = Range { first: 0, count: 1, scheduled_at_ms: 0 };
    let change = RunChange { expected_revision: 0, spec: spec_of(run.clone(), None), state: RunState::Paused };
    assert_eq!(ledger.runs.find(&run).await.unwrap(), None);
    assert_eq!(ledger.counts.snapshot(&run, GROUP).await.unwrap(), None);
    assert_eq!(ledger.ranges.outstanding(&run).await.unwrap(), []);
    assert_refused(ledger.runs.change(&run, &change).await, ErrorKind::NotFound);
    assert_refused(ledger.leases.acquire(&run, "owner", LONG).await, ErrorKind::NotFound);
    assert_refused(ledger.leases.renew(&run, fence, LONG, &pacing(0)).await, ErrorKind::NotFound);
    assert_refused(ledger.ranges.reserve(&run, fence, &reservation(1, 0)).await, ErrorKind::NotFound);
    assert_refused(ledger.ranges.confirm(&run, fence, &range, "p").await, ErrorKind::NotFound);
    assert_refused(ledger.leases.advance(&run, fence, RunState::Failed, None).await, ErrorKind::NotFound);
    assert_refused(ledger.counts.counted(&run, GROUP).await, ErrorKind::NotFound);
    let refused = ledger.counts.dead(&run, GROUP).await.unwrap_err();
    assert!(refused.kind == ErrorKind::NotFound && refused.message.contains(run.as_str()), "{refused}");
}

pub async fn what_is_answered_survives_reopening(harness: &impl LedgerHarness) {
    let ledger = harness.open().await;
    let owned = owned_with(&ledger, 30).await;
    let range = reserve(&ledger, &owned, 12).await.unwrap();
    ledger.ranges.confirm(&owned.run, owned.fence, &range, "producer-1").await.unwrap();
    ledger.counts.record(GROUP, "worker-1", &processed(&owned.run, 3..20)).await.unwrap();
    ledger.counts.record(GROUP, "worker-1", &dead(&owned.run, 18..22)).await.unwrap();
    ledger.runs.create(&spec(None), "kept").await.unwrap();
    let before = (numbers(&ledger, &owned.run).await, ledger.ranges.outstanding(&owned.run).await.unwrap());
    let seqs =
        (ledger.counts.counted(&owned.run, GROUP).await.unwrap(), ledger.counts.dead(&owned.run, GROUP).await.unwrap());
    drop(ledger);

    let ledger = harness.open().await;
    let after = numbers(&ledger, &owned.run).await;
    let at_the_same_time = Snapshot {
        read_at_ms: before.0.read_at_ms,
        enqueued_in_window: before.0.enqueued_in_window,
        processed_in_window: before.0.processed_in_window,
        ..after
    };
    assert_eq!(at_the_same_time, before.0);
    assert_eq!(ledger.ranges.outstanding(&owned.run).await.unwrap(), before.1);
    assert_eq!(ledger.counts.counted(&owned.run, GROUP).await.unwrap(), seqs.0);
    assert_eq!(ledger.counts.dead(&owned.run, GROUP).await.unwrap(), seqs.1);
    assert!(matches!(ledger.runs.create(&spec(None), "kept").await.unwrap(), Created::Existing(_)));

    // The owner before the restart is fenced off by the next one, whoever that is.
    ledger.leases.release(&owned.run, owned.fence).await.unwrap();
    let next = ledger.leases.acquire(&owned.run, "successor", LONG).await.unwrap().unwrap();
    assert!(next > owned.fence, "{next:?} is newer than {:?}", owned.fence);
    assert_refused(reserve(&ledger, &owned, 1).await, ErrorKind::Aborted);
}

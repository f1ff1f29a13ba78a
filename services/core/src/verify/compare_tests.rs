//! Every way in which a run can be wrong, as plain values.

use serde_json::Map;

use super::super::collect::Documents;
use super::*;
use crate::groups::Groups;
use crate::ids::RunId;
use crate::pacing::{CatchUp, Pacing, Rate};
use crate::run::{RunRecord, RunSpec};

/// A run of 100 jobs, of which 7 and 8 are dead, in perfect order.
fn proved() -> Evidence {
    let snapshot = snapshot(RunState::Completed, 98, 2);
    let dead: SeqSet = [7, 8].into_iter().collect();
    let documents =
        Documents { completed: SeqSet::up_to(100).minus(&dead), dead: dead.clone(), ..Documents::default() };
    Evidence { before: snapshot.clone(), after: snapshot, counted: SeqSet::up_to(100), dead, documents }
}

fn snapshot(state: RunState, processed: u64, dead: u64) -> Snapshot {
    let spec = RunSpec {
        run_id: RunId::parse("r").unwrap(),
        rate: Rate::new(100, 1.0).unwrap(),
        total: Some(100),
        queue: "default".into(),
        groups: Groups::default(),
        handler: "record".into(),
        payload: Map::new(),
        catch_up: CatchUp::All,
        created_at_ms: 0,
        traceparent: None,
    };
    let record = RunRecord {
        spec,
        state,
        revision: 1,
        cursor: 100,
        pacing: Pacing::default(),
        ended_at_ms: None,
        failure: None,
    };
    Snapshot {
        record,
        enqueued: 100,
        published: 100,
        processed,
        dead,
        duplicates: 3,
        ranges_outstanding: 0,
        enqueued_in_window: 0,
        processed_in_window: 0,
        workers: Default::default(),
        producers: Default::default(),
        read_at_ms: 0,
    }
}

fn without(set: &SeqSet, seq: u64) -> SeqSet {
    set.minus(&[seq].into_iter().collect())
}

/// Breaks a proved run and answers its problems; `ok` must agree with them.
fn problems(strict: bool, spoil: impl FnOnce(&mut Evidence)) -> Vec<String> {
    let mut evidence = proved();
    spoil(&mut evidence);
    let verification = compare(&evidence, strict);
    assert_eq!(verification.ok, verification.problems.is_empty());
    verification.problems
}

#[test]
fn a_run_in_order_is_proved_also_strictly() {
    let verification = compare(&proved(), true);
    assert_eq!(verification.problems, Vec::<String>::new());
    assert!(verification.ok && verification.missing.is_empty() && verification.foreign.is_empty());
    let Verification { enqueued, counted, stored, dead, duplicates, in_flight, .. } = verification;
    assert_eq!((enqueued, counted, stored, dead, duplicates, in_flight), (100, 100, 98, 2, 3, 0));
}

#[test]
fn a_job_without_document_or_without_count_is_missing() {
    let verification = |spoil: fn(&mut Evidence)| {
        let mut evidence = proved();
        spoil(&mut evidence);
        compare(&evidence, false)
    };
    let unstored = verification(|e| e.documents.completed = without(&e.documents.completed, 42));
    assert_eq!((unstored.missing, unstored.missing_count), (vec!["r-42".to_owned()], 1));
    assert_eq!(unstored.problems, ["1 job counted in the ledger without a document in the sink"]);

    let uncounted = verification(|e| e.counted = without(&e.counted, 42));
    assert_eq!((uncounted.missing, uncounted.counted), (vec!["r-42".to_owned()], 99));
    assert_eq!(uncounted.problems, ["1 job stored in the sink, but not counted in the ledger"]);

    let neither = verification(|e| {
        e.counted = without(&e.counted, 42);
        e.documents.completed = without(&e.documents.completed, 42);
    });
    assert_eq!(neither.problems, ["1 job neither counted nor stored"]);
}

#[test]
fn the_dead_must_be_dead_by_both_accounts_and_nowhere_else() {
    let both = problems(false, |e| e.documents.completed = SeqSet::up_to(100));
    assert_eq!(both, ["2 jobs both completed and dead in the sink"]);
    let only_in_sink = problems(false, |e| e.dead = without(&e.dead, 7));
    assert_eq!(only_in_sink, ["1 job dead in the sink, but counted as processed"]);
    let only_in_ledger = problems(false, |e| {
        e.dead.insert(9);
    });
    assert_eq!(only_in_ledger, ["1 job dead in the ledger, but not in the sink"]);
}

#[test]
fn foreign_and_repeated_documents_are_problems() {
    let foreign = problems(false, |e| e.documents.foreign_count = 2);
    assert_eq!(foreign, ["2 foreign documents in the sink"]);
    assert_eq!(problems(false, |e| e.documents.repeated_count = 1), ["1 job stored more than once"]);
    let beyond = problems(false, |e| {
        e.counted.insert(100);
        e.documents.completed.insert(100);
    });
    assert_eq!(beyond, ["1 job counted beyond what was enqueued"]);
}

#[test]
fn jobs_in_flight_are_said_in_words_and_are_no_loss() {
    let going = |e: &mut Evidence| {
        e.after = snapshot(RunState::Running, 86, 2);
        e.before = e.after.clone();
        let in_flight: SeqSet = (88..100).collect();
        e.counted = e.counted.minus(&in_flight);
        // One is stored and will be counted in a moment.
        e.documents.completed = e.documents.completed.minus(&without(&in_flight, 88));
    };
    assert_eq!(problems(false, going), ["run is RUNNING: 12 jobs in flight; verify again when it has drained"]);
    let lost_too = problems(false, |e| {
        going(e);
        e.documents.completed = without(&e.documents.completed, 1);
    });
    assert_eq!(lost_too[0], "1 job counted in the ledger without a document in the sink");
    assert_eq!(lost_too.len(), 2);
}

#[test]
fn a_run_that_has_ended_has_nothing_in_flight_left_to_hope_for() {
    let failed = problems(false, |e| {
        e.after = snapshot(RunState::Failed, 97, 2);
        e.before = e.after.clone();
        e.counted = without(&e.counted, 42);
        e.documents.completed = without(&e.documents.completed, 42);
    });
    assert_eq!(failed, ["1 job neither counted nor stored"]);
}

#[test]
fn a_run_that_moved_between_the_readings_is_read_again_not_accused() {
    let moved = problems(false, |e| {
        e.before = snapshot(RunState::Draining, 97, 1);
        e.counted = without(&e.counted, 42);
        e.dead = without(&e.dead, 7);
    });
    assert_eq!(moved, ["run is COMPLETED and moved while it was read; verify again"]);
}

#[test]
fn strict_wants_an_end_and_counters_that_agree() {
    let set_both = |e: &mut Evidence, change: fn(&mut Snapshot)| {
        change(&mut e.before);
        change(&mut e.after);
    };
    let paused = |e: &mut Evidence| set_both(e, |s| s.record.state = RunState::Paused);
    assert_eq!(problems(false, paused), Vec::<String>::new());
    assert_eq!(problems(true, paused), ["the run has not ended: it is PAUSED"]);
    assert_eq!(
        problems(true, |e| set_both(e, |s| (s.processed, s.dead) = (97, 3))),
        [
            "the counter of processed jobs is 97, the bitmap holds 98",
            "the counter of dead jobs is 3, the bitmap holds 2"
        ]
    );
    assert_eq!(
        problems(true, |e| set_both(e, |s| (s.published, s.ranges_outstanding) = (90, 1))),
        [
            "ranges that are reserved, but not confirmed by the broker: 1",
            "the counter of published jobs is 90, of enqueued ones 100"
        ]
    );
    let short = problems(true, |e| set_both(e, |s| s.record.spec.total = Some(101)));
    assert_eq!(short, ["the run is COMPLETED with 100 jobs enqueued and a total of 101"]);
}

#[test]
fn the_list_of_missing_ids_is_capped_and_their_count_is_not() {
    let mut evidence = proved();
    let jobs = IDS_LISTED_MAX as u64 + 7;
    (evidence.before.enqueued, evidence.after.enqueued) = (100 + jobs, 100 + jobs);
    let verification = compare(&evidence, false);
    assert_eq!((verification.missing.len(), verification.missing_count), (IDS_LISTED_MAX, jobs));
    assert_eq!(verification.missing[0], "r-100");
}

#[test]
fn the_json_shape_is_the_documented_one() {
    let json = serde_json::to_value(compare(&proved(), false)).unwrap();
    let mut names: Vec<_> = json.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    let mut documented = [
        "run_id",
        "state",
        "enqueued",
        "counted",
        "stored",
        "dead",
        "missing",
        "missing_count",
        "foreign",
        "foreign_count",
        "duplicates",
        "in_flight",
        "problems",
        "ok",
    ];
    documented.sort_unstable();
    assert_eq!(names, documented);
    assert_eq!(json["state"], "COMPLETED");
}

//! The JSON shape is a promise to scripts: every name of it is here.

use super::*;
use serde_json::json;

fn run() -> v1::Run {
    let snapshot = v1::Snapshot {
        enqueued: 10,
        published: 9,
        processed: 7,
        dead: 1,
        duplicates: 2,
        in_flight: 2,
        asked_per_second: 1.5,
        achieved_per_second: 1.25,
        processed_per_second: 1.0,
        workers: [("w1".to_owned(), 7)].into(),
        producers: [("p1".to_owned(), 9)].into(),
        estimated_end: None,
        read_at: Some(Timestamp { seconds: 1_700_000_000, nanos: 5_000_000 }),
    };
    v1::Run {
        run_id: "r1".into(),
        state: v1::RunState::Running.into(),
        jobs: 90,
        per_minutes: 1.0,
        total: Some(100),
        queue: "default".into(),
        groups: vec!["main".into()],
        handler: "record".into(),
        started_at: Some(Timestamp { seconds: 0, nanos: 0 }),
        snapshot: Some(snapshot),
        ..v1::Run::default()
    }
}

#[test]
fn a_run_is_one_flat_object() {
    let expected = json!({
        "run_id": "r1", "state": "RUNNING", "jobs": 90, "per_minutes": 1.0, "total": 100, "queue": "default", "groups": ["main"],
        "handler": "record", "payload": {}, "catch_up": "all", "failure": null, "started_at": "1970-01-01T00:00:00Z",
        "ended_at": null, "enqueued": 10, "published": 9, "processed": 7, "dead": 1, "duplicates": 2,
        "in_flight": 2, "asked_per_second": 1.5, "achieved_per_second": 1.25, "processed_per_second": 1.0,
        "workers": {"w1": 7}, "producers": {"p1": 9}, "estimated_end": null, "read_at": "2023-11-14T22:13:20.005Z",
    });
    assert_eq!(serde_json::to_value(RunView::from(run())).unwrap(), expected);
}

#[test]
fn numbers_that_could_not_be_read_are_absent_not_zero() {
    let view = RunView::from(v1::Run { snapshot: None, ..run() });
    let json = serde_json::to_value(&view).unwrap();
    assert!(json.get("enqueued").is_none() && json.get("run_id").is_some());
    assert!(view.text().contains("not readable") && view.progress().contains("not readable"));
    assert!(list(&[view]).contains('?'));
}

#[test]
fn states_come_from_the_wire_by_name_and_unknown_ones_are_shown_as_such() {
    for (wire, ours) in [(v1::RunState::Stopping, RunState::Stopping), (v1::RunState::Completed, RunState::Completed)] {
        assert_eq!(state(wire.into()), Some(ours));
    }
    assert_eq!((state(0), state(99)), (None, None));
    assert_eq!(RunView::from(v1::Run { state: 99, ..run() }).state, "UNKNOWN_99");
}

#[test]
fn the_text_says_what_people_ask_for() {
    let failed = v1::Run { state: v1::RunState::Failed.into(), failure: "queue is gone".into(), ..run() };
    let text = RunView::from(failed).text();
    for part in ["r1", "FAILED: queue is gone", "90 jobs every 1 min, 100 jobs in all", "processed 7", "w1 7"] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
    let progress = RunView::from(run()).progress();
    assert!(progress.starts_with("RUNNING  enqueued 10 of 100 at 1.2/s (asked 1.5/s)"), "{progress}");
}

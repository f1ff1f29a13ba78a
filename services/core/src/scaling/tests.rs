//! Tests of the decision: the number of workers for given readings, the words about it, and its laws over random readings.

use proptest::prelude::*;

use super::*;
use crate::ErrorKind;
use crate::error::Violations;
use crate::ids::RunId;
use crate::ports::broker::Depth;
use crate::ports::workers::{QueueLoad, WorkerInfo};
use crate::run::RunState;

fn load(slots: u64, held: u64, per_second: f64, hold_ms: f64) -> QueueLoad {
    QueueLoad { slots, held, per_second, hold_ms: Some(hold_ms), measured_at_ms: Some(0) }
}

fn worker(load: Option<QueueLoad>) -> WorkerReading {
    let all_per_second = load.as_ref().map(|load| load.per_second);
    WorkerReading {
        id: "w".into(),
        age_ms: 500,
        is_stopping: false,
        load,
        busy: None,
        all_per_second,
        measured_age_ms: Some(700),
    }
}

/// `count` workers with 10 slots, a job takes 100 ms: each could do 100 a second, and is planned at 80.
fn workers(count: usize, held: u64) -> Vec<WorkerReading> {
    (0..count).map(|_| worker(Some(load(10, held, 1.0, 100.0)))).collect()
}

fn feed(per_second: f64) -> Feed {
    Feed {
        run: RunId::parse("run").unwrap(),
        state: RunState::Running,
        asked_per_second: per_second,
        achieved_per_second: 0.0,
        outstanding: 0,
        unfinished: 0,
        age_ms: 1,
    }
}

fn readings(ready: u64, per_second: f64, workers: Vec<WorkerReading>) -> ScaleReadings {
    let depth = Depth { ready, unacked: None, ..Depth::default() };
    ScaleReadings { depth, depth_age_ms: 3, feeds: vec![feed(per_second)], workers }
}

fn wanted(readings: ScaleReadings) -> u32 {
    decide(Aim::default(), readings).unwrap().wanted
}

#[test]
fn enough_to_keep_up_and_to_drain_within_the_time() {
    assert_eq!(wanted(readings(0, 80.0, workers(1, 8))), 1);
    assert_eq!(wanted(readings(0, 81.0, workers(1, 8))), 2);
    // 4,800 jobs are what one planned worker does in a minute.
    assert_eq!(wanted(readings(4_800, 80.0, workers(1, 8))), 2);
    assert_eq!(wanted(readings(4_801, 80.0, workers(1, 8))), 3);
    let aim = Aim { drain_seconds: 10.0, ..Aim::default() };
    assert_eq!(decide(aim, readings(4_800, 80.0, workers(1, 8))).unwrap().wanted, 7);
}

#[test]
fn what_runs_have_reserved_and_nobody_has_published_is_backlog_too() {
    let outstanding = Feed { outstanding: 4_800, ..feed(80.0) };
    let readings = ScaleReadings { feeds: vec![outstanding], ..readings(0, 0.0, workers(1, 8)) };
    assert_eq!(wanted(readings), 2);
}

#[test]
fn a_run_that_catches_up_arrives_faster_than_it_is_asked_to_and_a_paused_one_not_at_all() {
    let fast = Feed { achieved_per_second: 160.0, ..feed(80.0) };
    assert_eq!(fast.arrival_per_second(), 160.0);
    assert_eq!(Feed { state: RunState::Paused, ..fast }.arrival_per_second(), 0.0);
}

#[test]
fn nothing_to_do_wants_the_minimum_and_a_single_job_wants_a_worker() {
    assert_eq!(wanted(readings(0, 0.0, vec![])), 0);
    assert_eq!(wanted(readings(1, 0.0, vec![])), 1);
    assert_eq!(wanted(readings(0, 0.001, vec![])), 1);
    let aim = Aim { min_workers: 2, max_workers: 4, ..Aim::default() };
    assert_eq!(decide(aim, readings(0, 0.0, vec![])).unwrap().wanted, 2);
    assert_eq!(decide(aim, readings(1_000_000, 0.0, vec![])).unwrap().wanted, 4);
}

#[test]
fn without_a_measurement_the_default_counts_and_is_said() {
    for (workers, why) in [
        (vec![], "there is no worker"),
        (vec![worker(None)], "of a version that does not say it"),
        (vec![worker(Some(QueueLoad { slots: 10, ..QueueLoad::default() }))], "has done a job of this queue yet"),
    ] {
        let decision = decide(Aim::default(), readings(0, 400.0, workers)).unwrap();
        assert_eq!((decision.wanted, decision.measured_by), (5, 0));
        let said = decision.steps().join("\n");
        assert!(said.contains("100.0 jobs a second, the default") && said.contains(why), "{said}");
    }
}

#[test]
fn a_busy_worker_can_do_what_its_time_allows_and_not_what_its_slots_would() {
    let by_slots = load(1_280, 100, 5_000.0, 20.0);
    let busy = |busy| WorkerReading { busy, ..worker(Some(by_slots.clone())) }.capacity_per_second().unwrap();
    assert_eq!(busy(None), 64_000.0);
    assert_eq!(busy(Some(0.5)), 10_000.0);
    assert_eq!(busy(Some(0.05)), 64_000.0, "so idle a worker says nothing about its limit");
}

/// A worker as its heartbeat of second 3,600 says, which has done other queues' jobs all the time.
fn heartbeat(loads: serde_json::Value) -> WorkerReading {
    let info = serde_json::json!({
        "worker_id": "w", "queue": "default,mail", "group": "main", "host": "h", "pid": 1, "started_at_ms": 0, "heartbeat_at_ms": 3_600_000,
        "processed": 7, "dead": 0, "retried": 0, "batches": 1, "batched_documents": 7, "stored_latency": "", "busy": 0.5, "loads": loads
    });
    let info = WorkerInfo { age_ms: 500, ..serde_json::from_value(info).unwrap() };
    WorkerReading::of(&info, "default", "main").unwrap()
}

#[test]
fn how_busy_a_worker_is_now_says_nothing_about_what_it_did_long_ago() {
    let load = |per_second: f64, measured_at_ms: i64| serde_json::json!({"slots": 10, "held": 0, "per_second": per_second, "hold_ms": 20.0, "measured_at_ms": measured_at_ms});
    let idle = heartbeat(serde_json::json!({"default": load(0.1, 0)}));
    assert_eq!((idle.measured_age_ms, idle.capacity_per_second()), (Some(3_600_500), Some(500.0)));
    assert_eq!(wanted(readings(0, 10.0, vec![idle])), 1);
    // Of half its time, 50 a second: 100 of whatever it does; not 0.2 of this queue.
    let of_two = heartbeat(serde_json::json!({"default": load(0.1, 3_600_000), "mail": load(49.9, 3_599_000)}));
    assert_eq!(of_two.capacity_per_second(), Some(100.0));
    let other_is_old = heartbeat(serde_json::json!({"default": load(40.0, 3_600_000), "mail": load(49.9, 3_000_000)}));
    assert_eq!(other_is_old.capacity_per_second(), Some(80.0));
}

#[test]
fn fewer_are_wanted_only_with_room_and_never_fewer_than_hold_what_is_in_hand() {
    // Two would do for 160 a second, three are there: with a fifth more it would be 192, which takes three.
    assert_eq!(wanted(readings(0, 160.0, workers(3, 5))), 3);
    assert_eq!(wanted(readings(0, 130.0, workers(3, 5))), 2);
    // No run goes on, and 40 jobs are in hand: four workers of ten slots hold them.
    assert_eq!(wanted(readings(0, 0.0, workers(5, 8))), 4);
    assert_eq!(wanted(readings(0, 0.0, workers(5, 0))), 0);
}

#[test]
fn a_broker_that_says_what_is_unacknowledged_is_believed() {
    let depth = Depth { unacked: Some(31), ..Depth::default() };
    let decision = decide(Aim::default(), ScaleReadings { depth, ..readings(0, 0.0, workers(5, 0)) }).unwrap();
    assert_eq!((decision.wanted, decision.in_hand), (4, Some(4)));
    assert!(decision.steps().join("\n").contains("in hand: 31, by the broker"));
}

#[test]
fn a_worker_that_stops_is_no_worker_and_what_it_holds_is_in_hand() {
    let mut all = workers(3, 4);
    all[0].is_stopping = true;
    let decision = decide(Aim::default(), readings(0, 0.0, all)).unwrap();
    assert_eq!((decision.current, decision.unacked, decision.wanted), (2, Some(12), 2));
}

#[test]
fn what_is_unknown_is_an_error_or_keeps_what_there_is() {
    let stale = |mut all: Vec<WorkerReading>, count: usize| {
        all.iter_mut().take(count).for_each(|worker| worker.age_ms = HEARTBEAT_AGE_MS_MAX + 1);
        all
    };
    let error = decide(Aim::default(), readings(0, 0.0, stale(workers(2, 0), 2))).unwrap_err();
    assert!(error.kind == ErrorKind::Unavailable && error.message.contains("the 2 that were there"), "{error}");

    for (unknown, why) in [
        (stale(workers(3, 0), 1), "1 of 3 workers have not announced themselves"),
        (vec![worker(None), worker(None), worker(None)], "neither the broker nor every worker says it"),
    ] {
        let decision = decide(Aim::default(), readings(0, 0.0, unknown)).unwrap();
        assert!(decision.wanted == 3 && decision.is_active, "{decision:?}");
        assert!(decision.steps().join("\n").contains(why), "{decision:?}");
    }
    let depth = Depth { unacked: Some(1), ..Depth::default() };
    let old = ScaleReadings { depth, ..readings(0, 0.0, vec![worker(None), worker(None)]) };
    assert_eq!(wanted(old), 2, "nobody says how many the work in hand needs");
    assert_eq!(wanted(readings(80_000, 0.0, stale(workers(3, 0), 1))), 17, "more is wanted all the same");
}

/// A run that has enqueued all, and of which so many jobs are not done.
fn draining(unfinished: u64) -> Vec<Feed> {
    vec![Feed { state: RunState::Draining, unfinished, ..feed(0.0) }]
}

#[test]
fn jobs_that_the_ledger_knows_and_nobody_has_keep_the_workers() {
    let unseen = |unfinished, depth, workers| {
        let readings = ScaleReadings { depth, feeds: draining(unfinished), ..readings(0, 0.0, workers) };
        decide(Aim::default(), readings).unwrap()
    };
    // A queue without a leader is 0 long by RabbitMQ.
    let decision = unseen(100_000, Depth::default(), workers(20, 0));
    assert!(decision.wanted >= 20 && decision.is_active && decision.unseen == 100_000, "{decision:?}");
    assert!(decision.steps().join("\n").contains("100000 unfinished jobs are nowhere to be seen"), "{decision:?}");
    // The broker has them, or the workers, or the retries.
    let ready = Depth { ready: 100_000, ..Depth::default() };
    assert_eq!(
        (unseen(100_000, ready, workers(20, 0)).unseen, unseen(100, Depth::default(), workers(20, 5)).unseen),
        (0, 0)
    );
    let delayed = unseen(7, Depth { delayed: 7, ..Depth::default() }, workers(20, 0));
    assert_eq!((delayed.wanted, delayed.is_active), (0, false), "retries bring a worker when they are due");
    let unacked = Depth { unacked: Some(7), ..Depth::default() };
    assert_eq!(unseen(7, unacked, workers(20, 0)).unseen, 0);
    // Twenty workers settle one a second each: as much moves between two heartbeats, and is there no less for it.
    let moved = unseen(60, Depth::default(), workers(20, 0));
    assert!(moved.wanted == 1 && moved.is_active && moved.holds.is_empty(), "{moved:?}");
}

#[test]
fn a_job_of_a_worker_that_nobody_hears_any_more_is_still_to_do() {
    let readings = ScaleReadings { feeds: draining(1), ..readings(0, 0.0, vec![]) };
    let decision = decide(Aim::default(), readings).unwrap();
    assert!(decision.is_active && decision.wanted == 1, "{decision:?}");
}

#[test]
fn every_number_is_said_with_its_age() {
    let decision = decide(Aim::default(), readings(4_800, 80.0, workers(2, 8))).unwrap();
    assert_eq!(
        decision.steps(),
        [
            "arrivals: 80.0 jobs a second, of 1 run, read 1 ms ago",
            "backlog: 4800 ready, read 3 ms ago, and 0 on their way = 4800",
            "in hand: 16, by the workers, because the broker does not say it",
            "one worker: 100.0 jobs a second, the mean of 2 that measured it, up to 700 ms ago",
            "planned at 80 %, one worker does 80.0 a second",
            "to keep up: 80.0 / 80.0 = 1.00 workers",
            "to drain within 60 s: 4800 / (80.0 x 60) = 1.00 workers",
            "to hold what is in hand: 2 workers",
            "needed: 2 workers, 2 are there",
            "wanted: 2, within 0 to 1000",
        ]
    );
}

#[test]
fn mistakes_in_the_aim_are_named_at_once() {
    let aim = Aim { drain_seconds: 0.5, min_workers: 3, max_workers: 2, jobs_per_second: f64::NAN };
    let mut violations = Violations::default();
    aim.check(&mut violations, |name| name.to_uppercase());
    let fields: Vec<_> = violations.check().unwrap_err().fields.into_iter().map(|wrong| wrong.field).collect();
    assert_eq!(fields, ["DRAIN_SECONDS", "MAX_WORKERS", "JOBS_PER_SECOND"]);
}

#[test]
fn a_heartbeat_of_an_older_version_is_a_worker_that_says_less() {
    let old = r#"{"worker_id":"w","queue":"mail,default","group":"main","host":"h","pid":1,"started_at_ms":0,"heartbeat_at_ms":900,
                  "processed":7,"dead":0,"retried":0,"held":3,"stalled":0,"batches":1,"batched_documents":7,"stored_latency":""}"#;
    let read = |now_ms| serde_json::from_str::<WorkerInfo>(old).unwrap().read_at(None, now_ms);
    let info = read(1_000);
    let worker = WorkerReading::of(&info, "default", "main").unwrap();
    assert_eq!((worker.age_ms, worker.is_stopping, worker.load, worker.busy), (100, false, None, None));
    assert_eq!(read(800).age_ms, 0, "the ledger's clock may be behind");
    assert!(WorkerReading::of(&info, "mai", "main").is_none() && WorkerReading::of(&info, "mail", "audit").is_none());
}

fn any_worker() -> impl Strategy<Value = WorkerReading> {
    (1u64..2_000, 0u64..2_000, 0.0..5_000.0f64, prop::option::of(0.1..60_000.0f64), prop::option::of(0.0..1.0f64))
        .prop_map(|(slots, held, per_second, hold_ms, busy)| WorkerReading {
            busy,
            ..worker(Some(QueueLoad { slots, held: held.min(slots), per_second, hold_ms, measured_at_ms: Some(0) }))
        })
}

fn any_readings() -> impl Strategy<Value = ScaleReadings> {
    (0u64..10_000_000, 0.0..50_000.0f64, prop::collection::vec(any_worker(), 0..12))
        .prop_map(|(ready, per_second, workers)| readings(ready, per_second, workers))
}

fn aim() -> impl Strategy<Value = Aim> {
    (1.0..600.0f64, 0u32..5, 5u32..500).prop_map(|(drain_seconds, min_workers, max_workers)| Aim {
        drain_seconds,
        min_workers,
        max_workers,
        ..Aim::default()
    })
}

proptest! {
    /// The answer keeps up, drains in time and holds what is in hand, or it is the most that is allowed.
    #[test]
    fn it_is_enough_and_within_its_bounds(aim in aim(), readings in any_readings()) {
        let decision = decide(aim, readings).unwrap();
        prop_assert!((aim.min_workers..=aim.max_workers).contains(&decision.wanted));
        if decision.wanted < aim.max_workers {
            let planned = f64::from(decision.wanted) * decision.capacity_per_second * UTILISATION;
            let asked = decision.arrival_per_second + decision.backlog as f64 / aim.drain_seconds;
            prop_assert!(planned * (1.0 + 1e-6) >= asked, "{planned} of {asked}");
            prop_assert!(decision.wanted >= decision.in_hand.unwrap());
        }
    }

    /// More to do never wants fewer.
    #[test]
    fn more_work_never_wants_fewer(aim in aim(), readings in any_readings(), more in 0u64..1_000_000, faster in 0.0..1_000.0f64) {
        let less = decide(aim, readings.clone()).unwrap().wanted;
        let mut fuller = readings.clone();
        fuller.depth.ready += more;
        prop_assert!(decide(aim, fuller).unwrap().wanted >= less);
        let mut quicker = readings;
        quicker.feeds[0].asked_per_second += faster;
        prop_assert!(decide(aim, quicker).unwrap().wanted >= less);
    }

    /// Whatever becomes unknown: the answer is an error, or not below what there is, and not below what it was.
    #[test]
    fn the_unknown_never_wants_fewer(readings in any_readings(), silent in any::<prop::sample::Index>()) {
        prop_assume!(!readings.workers.is_empty());
        let which = silent.index(readings.workers.len());
        let (mut stale, mut old) = (readings.clone(), readings);
        stale.workers[which].age_ms = HEARTBEAT_AGE_MS_MAX + 1;
        old.workers[which].load = None;
        for unknown in [stale, old] {
            if let Ok(decision) = decide(Aim::default(), unknown) {
                prop_assert!(decision.wanted >= decision.current, "{decision:?}");
            }
        }
    }

    /// Workers that have left the list take none of their jobs out of the world: there is work as long as there was.
    #[test]
    fn what_workers_hold_that_are_gone_is_still_to_do(readings in any_readings(), gone in prop::collection::vec(any::<bool>(), 12)) {
        let mut before = readings;
        let held: u64 = before.workers.iter().filter_map(|worker| worker.load.as_ref()).map(|load| load.held).sum();
        before.feeds = draining(before.depth.ready + held);
        let mut after = before.clone();
        let mut gone = gone.iter();
        after.workers.retain(|_| gone.next() != Some(&true));
        let (before, after) = (decide(Aim::default(), before).unwrap(), decide(Aim::default(), after).unwrap());
        prop_assert_eq!(before.unseen, 0);
        prop_assert_eq!(after.is_active, before.is_active, "{:?}", after);
        prop_assert!(after.wanted >= u32::from(before.is_active));
    }

    /// With the wanted number of workers, the same number is wanted again; and after scaling in, a little more load scales nothing out.
    #[test]
    fn it_does_not_flap(there in 1usize..50, per_second in 0.0..4_000.0f64, more in 1.0..1.19f64) {
        let first = wanted(readings(0, per_second, workers(there, 0)));
        prop_assert_eq!(wanted(readings(0, per_second, workers(first as usize, 0))), first);
        if (first as usize) < there {
            prop_assert!(wanted(readings(0, per_second * more, workers(first as usize, 0))) <= first.max(1));
        }
    }
}

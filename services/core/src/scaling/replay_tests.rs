//! A recorded spike through the signal: a queue and workers as a model, second by second, steered by [`decide`] and a [`Stabiliser`] as
//! whoever runs workers would. The model keeps what the signal must not see otherwise: a worker that is asked to leave finishes first.

use super::*;
use crate::ids::RunId;
use crate::ports::broker::Depth;
use crate::ports::workers::QueueLoad;
use crate::run::RunState;
use crate::scaling::stabiliser::WINDOW_MS_DEFAULT;

const SLOTS: u64 = 10;
const HOLD_SECONDS: u64 = 2;
/// A worker that is started takes that long until it consumes.
const START_SECONDS: u64 = 4;
const ASK_EVERY_SECONDS: u64 = 2;
const WORKERS_MAX: u32 = 40;

/// Jobs that arrived in each ten seconds of the hour around a mailing: quiet, a spike of six minutes, and its tail.
const SPIKE: [u64; 90] = [
    24, 26, 25, 23, 25, 27, 24, 25, 26, 24, 25, 23, 310, 520, 614, 633, 640, 628, 641, 637, 622, 640, 645, 631, 640,
    638, 629, 644, 640, 633, 637, 641, 640, 628, 635, 642, 639, 640, 631, 644, 638, 640, 641, 633, 629, 640, 636, 641,
    422, 301, 214, 160, 122, 90, 71, 58, 44, 41, 33, 30, 28, 26, 25, 24, 26, 25, 23, 24, 25, 26, 24, 25, 23, 26, 25,
    24, 25, 24, 26, 25, 23, 25, 24, 25, 26, 24, 25, 23, 25, 24,
];

/// A worker: when it consumes, and when each job in its hands is done.
struct Modelled {
    consumes_from: u64,
    is_stopping: bool,
    hands: Vec<u64>,
    has_worked: bool,
}

struct Model {
    now: u64,
    ready: u64,
    workers: Vec<Modelled>,
    done: u64,
}

impl Model {
    fn step(&mut self, arrived: u64) {
        self.now += 1;
        self.ready += arrived;
        for worker in &mut self.workers {
            let before = worker.hands.len();
            worker.hands.retain(|done_at| *done_at > self.now);
            self.done += (before - worker.hands.len()) as u64;
            worker.has_worked |= before > worker.hands.len();
            if worker.is_stopping || worker.consumes_from > self.now {
                continue;
            }
            while self.ready > 0 && (worker.hands.len() as u64) < SLOTS {
                self.ready -= 1;
                worker.hands.push(self.now + HOLD_SECONDS);
            }
        }
        self.workers.retain(|worker| !worker.is_stopping || !worker.hands.is_empty());
    }

    fn in_hands(&self) -> u64 {
        self.workers.iter().map(|worker| worker.hands.len() as u64).sum()
    }

    fn there(&self) -> u32 {
        self.workers.iter().filter(|worker| !worker.is_stopping).count() as u32
    }

    fn readings(&self, per_second: f64) -> ScaleReadings {
        let worker = |worker: &Modelled| WorkerReading {
            id: "w".into(),
            age_ms: 1_000,
            is_stopping: worker.is_stopping,
            busy: None,
            all_per_second: None,
            measured_age_ms: None,
            load: Some(QueueLoad {
                slots: SLOTS,
                held: worker.hands.len() as u64,
                per_second: 0.0,
                hold_ms: worker.has_worked.then_some(HOLD_SECONDS as f64 * 1e3),
                measured_at_ms: None,
            }),
        };
        let feed = Feed {
            run: RunId::parse("run").unwrap(),
            state: RunState::Running,
            asked_per_second: per_second,
            achieved_per_second: 0.0,
            outstanding: 0,
            unfinished: self.ready + self.in_hands(),
            age_ms: 0,
        };
        let depth = Depth { ready: self.ready, ..Depth::default() };
        ScaleReadings { depth, depth_age_ms: 0, feeds: vec![feed], workers: self.workers.iter().map(worker).collect() }
    }

    /// Follows `target` like `paceline worker --autoscale`: starts workers at once, and asks the newest to leave.
    fn steer(&mut self, target: u32) {
        while self.there() < target {
            let consumes_from = self.now + START_SECONDS;
            self.workers.push(Modelled { consumes_from, is_stopping: false, hands: Vec::new(), has_worked: false });
        }
        while self.there() > target {
            let newest = self.workers.iter_mut().rfind(|worker| !worker.is_stopping).unwrap();
            newest.is_stopping = true;
        }
    }
}

#[test]
fn a_recorded_spike_is_followed_up_and_down() {
    let aim = Aim { min_workers: 1, max_workers: WORKERS_MAX, ..Aim::default() };
    let mut model = Model { now: 0, ready: 0, workers: Vec::new(), done: 0 };
    let mut stabiliser = Stabiliser::new(WINDOW_MS_DEFAULT);
    let (mut most, mut deepest, mut changes, mut arrived) = (0, 0, 0, 0);
    let mut falls = Vec::new();
    for second in 0..SPIKE.len() as u64 * 10 {
        let of_ten = SPIKE[(second / 10) as usize];
        // The broker says nothing for half a minute, in the middle of the spike and again while it ends.
        let is_unknown = (250..280).contains(&second) || (560..590).contains(&second);
        let jobs = of_ten / 10 + u64::from(second % 10 < of_ten % 10);
        arrived += jobs;
        model.step(jobs);
        assert_eq!(model.ready + model.in_hands() + model.done, arrived, "no worker took a job with it when it left");
        deepest = deepest.max(model.ready);
        if second % ASK_EVERY_SECONDS != 0 {
            continue;
        }
        let there = model.there();
        let wanted = if is_unknown {
            None
        } else {
            Some(decide(aim, model.readings(of_ten as f64 / 10.0)).expect("everything is known").wanted)
        };
        let target = stabiliser.target(second * 1_000, there, wanted);
        if is_unknown {
            assert_eq!(target, there, "second {second}: unknown is not zero");
        }
        model.steer(target);
        most = most.max(model.there());
        if there != target && second > 0 {
            changes += 1;
        }
        if target < there {
            falls.push(second);
        }
    }
    // 64 a second, and 4 a second of one planned worker.
    assert!((16..=24).contains(&most), "{most} workers at most");
    assert_eq!(model.there(), 1, "it comes back");
    assert_eq!(model.ready, 0);
    assert!(falls.iter().all(|second| *second > 480), "no worker leaves before the spike is over: {falls:?}");
    assert!(changes <= 30, "{changes} changes");
    assert!(deepest < 500, "{deepest} jobs waited at most");
}

//! The readings that a number of workers is computed from: the depth of the queue, the runs that feed it, the workers that are there.

use crate::ids::RunId;
use crate::ports::broker::Depth;
use crate::ports::workers::{QueueLoad, WorkerInfo};
use crate::run::{RunState, Snapshot};

/// A heartbeat comes each second. Of a worker that missed three nobody knows how it is.
pub const HEARTBEAT_AGE_MS_MAX: u64 = 3_000;
/// A rate that a worker measured longer before its heartbeat is of another time than its share of the time that it computes.
const MEASURED_AGE_MS_MAX: u64 = 10_000;
/// A worker that is less busy says nothing about what it could do.
const BUSY_MIN: f64 = 0.1;

/// The readings of a queue for one group, and how old they are.
#[derive(Debug, Clone, PartialEq)]
pub struct ScaleReadings {
    pub depth: Depth,
    pub depth_age_ms: u64,
    pub feeds: Vec<Feed>,
    pub workers: Vec<WorkerReading>,
}

/// A run that puts jobs into the queue.
#[derive(Debug, Clone, PartialEq)]
pub struct Feed {
    pub run: RunId,
    pub state: RunState,
    /// 0 unless it is RUNNING.
    pub asked_per_second: f64,
    pub achieved_per_second: f64,
    /// Reserved, and not confirmed by the broker yet.
    pub outstanding: u64,
    /// Enqueued, and neither processed nor dead for the group.
    pub unfinished: u64,
    pub age_ms: u64,
}

impl Feed {
    pub fn of(snapshot: &Snapshot, now_ms: i64) -> Self {
        let is_running = snapshot.record.state == RunState::Running;
        Self {
            run: snapshot.record.spec.run_id.clone(),
            state: snapshot.record.state,
            asked_per_second: if is_running { snapshot.record.spec.rate.per_second() } else { 0.0 },
            achieved_per_second: snapshot.per_second(snapshot.enqueued_in_window),
            outstanding: snapshot.enqueued.saturating_sub(snapshot.published),
            unfinished: snapshot.in_flight(),
            age_ms: age(now_ms, snapshot.read_at_ms),
        }
    }

    /// A run that catches up enqueues more than it is asked to. One that is not RUNNING enqueues nothing more.
    pub fn arrival_per_second(&self) -> f64 {
        if self.state == RunState::Running { self.asked_per_second.max(self.achieved_per_second) } else { 0.0 }
    }
}

/// A worker of the queue, as its last heartbeat says.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkerReading {
    pub id: String,
    /// The age of the heartbeat, by the ledger's clock.
    pub age_ms: u64,
    pub is_stopping: bool,
    /// The worker's load on this queue; unset for a worker of a version that does not tell it.
    pub load: Option<QueueLoad>,
    pub busy: Option<f64>,
    /// Jobs a second of all the worker's queues together, over the time of `busy`; unset where this queue was measured over another time.
    pub all_per_second: Option<f64>,
    pub measured_age_ms: Option<u64>,
}

impl WorkerReading {
    /// `None`: it does not consume this queue for this group.
    pub fn of(info: &WorkerInfo, queue: &str, group: &str) -> Option<Self> {
        let consumes = info.group == group && info.queue.split(',').any(|name| name == queue);
        let load = info.loads.get(queue).cloned();
        // Both by the worker's clock.
        let before_heartbeat = |load: &QueueLoad| load.measured_at_ms.map(|at_ms| age(info.heartbeat_at_ms, at_ms));
        let is_of_now = |load: &&QueueLoad| before_heartbeat(load).is_some_and(|ms| ms <= MEASURED_AGE_MS_MAX);
        consumes.then(|| Self {
            id: info.worker_id.clone(),
            age_ms: info.age_ms,
            is_stopping: info.is_stopping,
            busy: info.busy,
            all_per_second: load
                .as_ref()
                .filter(is_of_now)
                .map(|_| info.loads.values().filter(is_of_now).map(|load| load.per_second).sum()),
            measured_age_ms: load.as_ref().and_then(before_heartbeat).map(|ms| ms.saturating_add(info.age_ms)),
            load,
        })
    }

    pub fn is_stale(&self) -> bool {
        self.age_ms > HEARTBEAT_AGE_MS_MAX
    }

    /// The jobs that it could do a second; `None` where it does not say, or has done nothing yet.
    pub fn capacity_per_second(&self) -> Option<f64> {
        let load = self.load.as_ref()?;
        let by_slots = load.hold_ms.filter(|hold_ms| *hold_ms > 0.0).map(|hold_ms| load.slots as f64 * 1e3 / hold_ms);
        let rate = self.all_per_second.filter(|rate| *rate > 0.0);
        let by_time = self.busy.filter(|busy| *busy >= BUSY_MIN).zip(rate).map(|(busy, rate)| rate / busy);
        [by_slots, by_time].into_iter().flatten().reduce(f64::min)
    }
}

/// Clocks of two machines may differ: nothing is from the future.
fn age(now_ms: i64, at_ms: i64) -> u64 {
    u64::try_from(now_ms.saturating_sub(at_ms)).unwrap_or(0)
}

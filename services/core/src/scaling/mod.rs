//! The number of workers that a queue needs: pure arithmetic on readings that somebody else took, and the words that explain it.
//!
//! Two laws carry it. A worker with so many slots, each taken for `hold` by a job, does slots ÷ hold jobs a second (Little); one that is busy
//! for a share of the time while it does `x` jobs a second can do x ÷ share (utilisation). The lower one is what it can do. Both are measured,
//! so the answer corrects itself: a worker that is full has jobs in hand for longer, and then counts for less.
//!
//! An unknown reading never lowers the answer: it is an error, or the workers that are there are kept ([`decide`]). Who acts on the answer
//! keeps it from flapping in time, with a [`Stabiliser`].

mod explain;
mod stabiliser;

use crate::error::Violations;
use crate::error::codes;
use crate::ids::RunId;
use crate::ports::broker::Depth;
use crate::ports::workers::{QueueLoad, WorkerInfo};
use crate::run::{RunState, Snapshot};
use crate::{Error, Result};

pub use stabiliser::{Stabiliser, WINDOW_MS_DEFAULT};

/// The backlog is to be done within this time, unless told otherwise.
pub const DRAIN_SECONDS_DEFAULT: f64 = 60.0;
const DRAIN_SECONDS_MAX: f64 = 86_400.0;
/// The rate of one worker a second where none has measured it, unless told otherwise. Low: too many workers leave again.
pub const JOBS_PER_SECOND_DEFAULT: f64 = 100.0;
pub const WORKERS_MAX_DEFAULT: u32 = 1_000;
/// Workers are planned to do this share of what they could, so that noise and retries find room.
pub const UTILISATION: f64 = 0.8;
/// Fewer workers are wanted only if they were enough for this much more load: what is near a whole number of workers must not flap.
pub const SCALE_IN_MARGIN: f64 = 1.2;
/// A heartbeat comes each second. Of a worker that missed three nobody knows how it is.
pub const HEARTBEAT_AGE_MS_MAX: u64 = 3_000;
/// A rate that a worker measured longer before its heartbeat is of another time than its share of the time that it computes.
const MEASURED_AGE_MS_MAX: u64 = 10_000;
/// A worker that is less busy says nothing about what it could do.
const BUSY_MIN: f64 = 0.1;

/// The limits that the answer keeps to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Aim {
    pub drain_seconds: f64,
    pub min_workers: u32,
    pub max_workers: u32,
    /// The rate of one worker where none has measured it.
    pub jobs_per_second: f64,
}

impl Default for Aim {
    fn default() -> Self {
        Self {
            drain_seconds: DRAIN_SECONDS_DEFAULT,
            min_workers: 0,
            max_workers: WORKERS_MAX_DEFAULT,
            jobs_per_second: JOBS_PER_SECOND_DEFAULT,
        }
    }
}

impl Aim {
    /// Every mistake at once, each under the name that `field` gives it.
    pub fn check(&self, violations: &mut Violations, field: impl Fn(&'static str) -> String) {
        if !(1.0..=DRAIN_SECONDS_MAX).contains(&self.drain_seconds) {
            violations.add_coded(
                codes::SCALING_AIM_INVALID,
                field("drain_seconds"),
                format!("must be 1 to {DRAIN_SECONDS_MAX} seconds"),
            );
        }
        if self.max_workers == 0 || self.max_workers < self.min_workers {
            let min = self.min_workers.max(1);
            violations.add_coded(codes::SCALING_AIM_INVALID, field("max_workers"), format!("must be at least {min}"));
        }
        if !(self.jobs_per_second.is_finite() && self.jobs_per_second > 0.0) {
            violations.add_coded(codes::SCALING_AIM_INVALID, field("jobs_per_second"), "must be above 0");
        }
    }
}

/// The readings of a queue for one group, and how old they are.
#[derive(Debug, Clone, PartialEq)]
pub struct Readings {
    pub depth: Depth,
    pub depth_age_ms: u64,
    pub feeds: Vec<Feed>,
    pub workers: Vec<Worker>,
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
    pub on_the_way: u64,
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
            on_the_way: snapshot.enqueued.saturating_sub(snapshot.published),
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
pub struct Worker {
    pub id: String,
    /// Of the heartbeat, by the ledger's clock.
    pub age_ms: u64,
    pub is_stopping: bool,
    /// Unset for a worker of a version that does not say it.
    pub load: Option<QueueLoad>,
    pub busy: Option<f64>,
    /// Of all its queues together, in the time that `busy` is of; unset where this queue was measured in another time.
    pub all_per_second: Option<f64>,
    pub measured_age_ms: Option<u64>,
}

impl Worker {
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

/// The number of workers wanted, and every number on the way there. [`Decision::steps`] says it in words.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    pub aim: Aim,
    pub readings: Readings,
    pub wanted: u32,
    /// Workers that are there, without those that stop.
    pub current: u32,
    /// Why `wanted` is not below `current` although less would do.
    pub holds: Vec<String>,
    /// There is work: jobs that wait or are in hand, or a run that goes on.
    pub is_active: bool,
    /// From the broker, or the sum of what the workers hold; `None`: not known.
    pub unacked: Option<u64>,
    pub arrival_per_second: f64,
    /// Waits in the queue, or is on its way there.
    pub backlog: u64,
    /// Unfinished by the ledger, and neither in the backlog nor in hand nor waiting for a retry.
    pub unseen: u64,
    /// So many of them may be so because the readings are not of one moment.
    pub moved_meanwhile: u64,
    pub capacity_per_second: f64,
    /// So many workers' measurements are in the capacity; 0: it is the default.
    pub measured_by: u32,
    /// Workers that keep up with the arrivals, and those that drain the backlog besides; not whole ones.
    pub keep_up: f64,
    pub drain: f64,
    /// Workers that have room for what is in hand; `None`: not known.
    pub in_hand: Option<u32>,
    /// Before the margin of scaling in, holds and bounds.
    pub needed: u32,
}

/// The number of workers that the queue needs by these readings. `Unavailable`: the workers that there are do not say how they are.
pub fn decide(aim: Aim, readings: Readings) -> Result<Decision> {
    let there = || readings.workers.iter().filter(|worker| !worker.is_stopping);
    let stale = there().filter(|worker| worker.is_stale()).count();
    let current = count(there().count() as f64);
    if stale > 0 && stale == there().count() {
        return Err(Error::unavailable(format!(
            "no worker has announced itself for {} s, so it is not known how the {stale} that were there are; look at `paceline doctor`",
            HEARTBEAT_AGE_MS_MAX / 1_000
        ))
        .coded(codes::DEMAND_UNKNOWN));
    }
    let arrival_per_second: f64 = readings.feeds.iter().map(Feed::arrival_per_second).sum();
    let on_the_way: u64 = readings.feeds.iter().map(|feed| feed.on_the_way).fold(0, u64::saturating_add);
    let backlog = readings.depth.ready.saturating_add(on_the_way);
    let unacked = readings.depth.unacked.or_else(|| held(&readings.workers));
    let unseen = unacked.map_or(0, |unacked| unseen(&readings, backlog.saturating_add(unacked)));
    let moved_meanwhile = moved_meanwhile(arrival_per_second, &readings.workers);
    let (capacity_per_second, measured_by) = capacity(aim, there());

    let planned = capacity_per_second * UTILISATION;
    let (keep_up, drain) = (arrival_per_second / planned, backlog as f64 / (planned * aim.drain_seconds));
    let in_hand = in_hand(unacked, there(), current);
    let is_active = backlog > 0 || unacked != Some(0) || unseen > 0 || arrival_per_second > 0.0;
    let floor = in_hand.unwrap_or(0).max(u32::from(is_active));
    let needed = count(keep_up + drain).max(floor);
    let mut wanted = needed;
    if needed < current {
        wanted = count((keep_up + drain) * SCALE_IN_MARGIN).max(floor).min(current);
    }

    let mut holds = Vec::new();
    if stale > 0 {
        holds.push(format!(
            "{stale} of {current} workers have not announced themselves for {} s",
            HEARTBEAT_AGE_MS_MAX / 1_000
        ));
    }
    if unacked.is_none() {
        holds.push("it is not known how many jobs are in hand: neither the broker nor every worker says it".into());
    } else if in_hand.is_none() {
        holds.push("no worker says how many jobs it may hold, so it is not known who could hold those in hand".into());
    }
    if unseen > moved_meanwhile {
        holds.push(format!(
            "{unseen} unfinished jobs are nowhere to be seen: neither the broker nor the workers have them"
        ));
    }
    if wanted >= current {
        holds.clear();
    } else if !holds.is_empty() {
        wanted = current;
    }
    wanted = wanted.clamp(aim.min_workers, aim.max_workers);
    Ok(Decision {
        aim,
        wanted,
        current,
        holds,
        is_active,
        unacked,
        arrival_per_second,
        backlog,
        unseen,
        moved_meanwhile,
        capacity_per_second,
        measured_by,
        keep_up,
        drain,
        in_hand,
        needed,
        readings,
    })
}

/// The jobs that all workers hold by their own word, also those that stop; `None` where one does not say it, or said it too long ago.
fn held(workers: &[Worker]) -> Option<u64> {
    let held = |worker: &Worker| worker.load.as_ref().filter(|_| !worker.is_stale()).map(|load| load.held);
    workers.iter().map(held).sum()
}

/// Unfinished jobs that nobody has, besides those `known`. RabbitMQ says 0 of a queue that has no leader, or is late; and a worker that is silent
/// for long is on no list, but what it holds is not done. Messages that no run has sent may hide some.
fn unseen(readings: &Readings, known: u64) -> u64 {
    let unfinished = readings.feeds.iter().map(|feed| feed.unfinished).fold(0, u64::saturating_add);
    unfinished.saturating_sub(known.saturating_add(readings.depth.delayed))
}

/// A job that was taken or settled after the heartbeat of its worker is seen in no reading, or in two.
fn moved_meanwhile(arrival_per_second: f64, workers: &[Worker]) -> u64 {
    let settled: f64 = workers.iter().filter_map(|worker| worker.load.as_ref()).map(|load| load.per_second).sum();
    ((arrival_per_second + settled) * HEARTBEAT_AGE_MS_MAX as f64 / 1e3) as u64
}

/// The rate of one worker a second, and how many have measured it.
fn capacity<'a>(aim: Aim, workers: impl Iterator<Item = &'a Worker>) -> (f64, u32) {
    let measured: Vec<f64> =
        workers.filter(|worker| !worker.is_stale()).filter_map(Worker::capacity_per_second).collect();
    match measured.len() {
        0 => (aim.jobs_per_second, 0),
        count => (measured.iter().sum::<f64>() / count as f64, count as u32),
    }
}

/// Workers that have room for what is in hand. Without any worker it is in nobody's hands for long: it comes back to the queue.
fn in_hand<'a>(unacked: Option<u64>, workers: impl Iterator<Item = &'a Worker>, current: u32) -> Option<u32> {
    let unacked = unacked?;
    if unacked == 0 || current == 0 {
        return Some(0);
    }
    let slots: Vec<u64> = workers.filter_map(|worker| worker.load.as_ref()).map(|load| load.slots).collect();
    let mean = slots.iter().sum::<u64>() as f64 / slots.len().max(1) as f64;
    (mean > 0.0).then(|| count(unacked as f64 / mean).min(current))
}

/// Whole workers. A hair above a whole number is what floating point makes of it.
fn count(workers: f64) -> u32 {
    (workers - 1e-9).ceil() as u32
}

/// Clocks of two machines may differ: nothing is from the future.
fn age(now_ms: i64, at_ms: i64) -> u64 {
    u64::try_from(now_ms.saturating_sub(at_ms)).unwrap_or(0)
}

#[cfg(test)]
mod replay_tests;
#[cfg(test)]
mod tests;

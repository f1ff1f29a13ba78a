//! The decision: from readings to the number of workers that a queue needs, with every number on the way.

use super::aim::Aim;
use super::readings::{Feed, HEARTBEAT_AGE_MS_MAX, ScaleReadings, WorkerReading};
use crate::error::codes;
use crate::{Error, Result};

/// Workers are planned to do this share of what they could, so that noise and retries find room.
pub const UTILISATION: f64 = 0.8;
/// Fewer workers are wanted only if they were enough for this much more load: what is near a whole number of workers must not flap.
pub const SCALE_IN_MARGIN: f64 = 1.2;

/// The number of workers wanted, and every number on the way there. [`Decision::steps`] says it in words.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    pub aim: Aim,
    pub readings: ScaleReadings,
    pub wanted: u32,
    /// Workers that are there, without those that stop.
    pub current: u32,
    /// The reasons for which `wanted` is not below `current` although fewer workers would do.
    pub holds: Vec<String>,
    /// There is work: jobs that wait or are in hand, or a run that goes on.
    pub is_active: bool,
    /// Jobs in the hands of workers: from the broker, or the sum of what the workers say. `None`: not known.
    pub unacked: Option<u64>,
    pub arrival_per_second: f64,
    /// Jobs that wait in the queue or are on their way to it.
    pub backlog: u64,
    /// Jobs that the ledger has as unfinished, and that are neither in the backlog nor in hand nor waiting for a retry.
    pub unseen: u64,
    /// The part of `unseen` that may come from readings taken at different moments.
    pub moved_meanwhile: u64,
    pub capacity_per_second: f64,
    /// The number of workers whose measurements are in the capacity; 0: the capacity is the default.
    pub measured_by: u32,
    /// Workers that keep up with the arrivals, and those that drain the backlog besides; not whole ones.
    pub keep_up: f64,
    pub drain: f64,
    /// Workers that have room for what is in hand; `None`: not known.
    pub in_hand: Option<u32>,
    /// The number of workers before the margin of scaling in, holds and bounds.
    pub needed: u32,
}

/// The number of workers that the queue needs by these readings. `Unavailable`: the workers that there are do not say how they are.
pub fn decide(aim: Aim, readings: ScaleReadings) -> Result<Decision> {
    let stale = there(&readings).filter(|worker| worker.is_stale()).count();
    let current = count(there(&readings).count() as f64);
    check_heartbeats(stale, current)?;
    let work = Work::of(&readings);
    let (capacity_per_second, measured_by) = capacity(aim, there(&readings));
    let planned = capacity_per_second * UTILISATION;
    let (keep_up, drain) = (work.arrival_per_second / planned, work.backlog as f64 / (planned * aim.drain_seconds));
    let in_hand = in_hand(work.unacked, there(&readings), current);
    let floor = in_hand.unwrap_or(0).max(u32::from(work.is_active()));
    let needed = count(keep_up + drain).max(floor);
    let mut wanted = needed;
    let mut holds = Vec::new();
    if needed < current {
        wanted = count((keep_up + drain) * SCALE_IN_MARGIN).max(floor).min(current);
    }
    if wanted < current {
        holds = work.holds(stale, current, in_hand);
        wanted = if holds.is_empty() { wanted } else { current };
    }
    Ok(Decision {
        aim,
        wanted: wanted.clamp(aim.min_workers, aim.max_workers),
        current,
        holds,
        is_active: work.is_active(),
        unacked: work.unacked,
        arrival_per_second: work.arrival_per_second,
        backlog: work.backlog,
        unseen: work.unseen,
        moved_meanwhile: work.moved_meanwhile,
        capacity_per_second,
        measured_by,
        keep_up,
        drain,
        in_hand,
        needed,
        readings,
    })
}

/// The workers that are there, without those that stop.
fn there(readings: &ScaleReadings) -> impl Iterator<Item = &WorkerReading> {
    readings.workers.iter().filter(|worker| !worker.is_stopping)
}

/// An error if every worker that is there has gone silent.
fn check_heartbeats(stale: usize, current: u32) -> Result<()> {
    if stale == 0 || stale < current as usize {
        return Ok(());
    }
    Err(Error::unavailable(format!(
        "no worker has announced itself for {} s, so it is not known how the {stale} that were there are; look at `paceline doctor`",
        HEARTBEAT_AGE_MS_MAX / 1_000
    )).coded(codes::DEMAND_UNKNOWN))
}

/// The work that the readings show; each field is that of the [`Decision`].
struct Work {
    arrival_per_second: f64,
    backlog: u64,
    unacked: Option<u64>,
    unseen: u64,
    moved_meanwhile: u64,
}

impl Work {
    fn of(readings: &ScaleReadings) -> Self {
        let arrival_per_second: f64 = readings.feeds.iter().map(Feed::arrival_per_second).sum();
        let outstanding: u64 = readings.feeds.iter().map(|feed| feed.outstanding).fold(0, u64::saturating_add);
        let backlog = readings.depth.ready.saturating_add(outstanding);
        let unacked = readings.depth.unacked.or_else(|| held(&readings.workers));
        let unseen = unacked.map_or(0, |unacked| unseen(readings, backlog.saturating_add(unacked)));
        let moved_meanwhile = moved_meanwhile(arrival_per_second, &readings.workers);
        Self { arrival_per_second, backlog, unacked, unseen, moved_meanwhile }
    }

    fn is_active(&self) -> bool {
        self.backlog > 0 || self.unacked != Some(0) || self.unseen > 0 || self.arrival_per_second > 0.0
    }

    /// The reasons to let no worker go.
    fn holds(&self, stale: usize, current: u32, in_hand: Option<u32>) -> Vec<String> {
        let mut holds = Vec::new();
        if stale > 0 {
            let seconds = HEARTBEAT_AGE_MS_MAX / 1_000;
            holds.push(format!("{stale} of {current} workers have not announced themselves for {seconds} s"));
        }
        if self.unacked.is_none() {
            holds.push("it is not known how many jobs are in hand: neither the broker nor every worker says it".into());
        } else if in_hand.is_none() {
            holds.push(
                "no worker says how many jobs it may hold, so it is not known who could hold those in hand".into(),
            );
        }
        if self.unseen > self.moved_meanwhile {
            let unseen = self.unseen;
            holds.push(format!(
                "{unseen} unfinished jobs are nowhere to be seen: neither the broker nor the workers have them"
            ));
        }
        holds
    }
}

/// The jobs that all workers hold by their own word, also those that stop; `None` where one does not say it, or said it too long ago.
fn held(workers: &[WorkerReading]) -> Option<u64> {
    let held = |worker: &WorkerReading| worker.load.as_ref().filter(|_| !worker.is_stale()).map(|load| load.held);
    workers.iter().map(held).sum()
}

/// Unfinished jobs that nobody has, besides those `known`. RabbitMQ says 0 of a queue that has no leader, or is late; and a worker that is silent
/// for long is on no list, but what it holds is not done. Messages that no run has sent may hide some.
fn unseen(readings: &ScaleReadings, known: u64) -> u64 {
    let unfinished = readings.feeds.iter().map(|feed| feed.unfinished).fold(0, u64::saturating_add);
    unfinished.saturating_sub(known.saturating_add(readings.depth.delayed))
}

/// A job that was taken or settled after the heartbeat of its worker is seen in no reading, or in two.
fn moved_meanwhile(arrival_per_second: f64, workers: &[WorkerReading]) -> u64 {
    let settled: f64 = workers.iter().filter_map(|worker| worker.load.as_ref()).map(|load| load.per_second).sum();
    ((arrival_per_second + settled) * HEARTBEAT_AGE_MS_MAX as f64 / 1e3) as u64
}

/// The rate of one worker a second, and how many have measured it.
fn capacity<'a>(aim: Aim, workers: impl Iterator<Item = &'a WorkerReading>) -> (f64, u32) {
    let measured: Vec<f64> =
        workers.filter(|worker| !worker.is_stale()).filter_map(WorkerReading::capacity_per_second).collect();
    match measured.len() {
        0 => (aim.jobs_per_second, 0),
        count => (measured.iter().sum::<f64>() / count as f64, count as u32),
    }
}

/// Workers that have room for what is in hand. Without any worker it is in nobody's hands for long: it comes back to the queue.
fn in_hand<'a>(unacked: Option<u64>, workers: impl Iterator<Item = &'a WorkerReading>, current: u32) -> Option<u32> {
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

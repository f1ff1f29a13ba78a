//! The pacer: a pure function from elapsed time to "how many jobs are due now", in integer arithmetic (L6).
//!
//! The scheduler calls [`Pacer::advance`] with monotonic time and reserves what is [`Pacer::due`]; what it has reserved it
//! [`Pacer::take`]s. Credit is kept as whole jobs plus a remainder in units of 1/`per_ns` of a job, so
//! `enqueued(t) = floor(base + (t − t0)·X/Y)` holds exactly within a rate, and a change of rate carries the remainder over.
//! The state that must survive a restart is [`Pacing`]; the ledger stores it together with the cursor. A [`Rate`] is checked when it is made.
//!
//! Here: arithmetic on time and rates alone. It reads no clock and uses nothing else of the house; the caller hands it the time.

mod rate;

use serde::{Deserialize, Serialize};

pub use rate::{PER_MINUTES_MAX, PER_MINUTES_MIN, RATE_PER_SECOND_MAX, Rate};

/// A gap longer than this is an outage: its jobs follow [`CatchUp`]. A shorter one is a hiccup and is made good at once.
pub const OUTAGE_NS: u64 = 1_000_000_000;
/// Sends or leaves out the jobs that an outage held back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum CatchUp {
    /// They are sent, at no more than twice the rate in all.
    #[default]
    All,
    /// They are left out; the schedule shifts by the length of the outage.
    Skip,
}

/// Later than any moment, so nothing is earned since.
pub const NEVER_MS: i64 = i64::MAX;

/// The part of a pacer that survives a restart, besides the number of jobs that exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Pacing {
    /// Earned part of the next job, in units of 1/`rate.per_ns` of a job.
    pub remainder: u64,
    /// Jobs that were earned but not reserved when this was written.
    pub unreserved: u64,
    /// Outage time still to be made good, at the rate it was earned.
    pub owed_ns: u64,
    /// Wall time up to which credit is earned. 0: the run has not begun. [`NEVER_MS`]: the run was taken out of FAILED, and earns from
    /// the moment on at which a scheduler owns it.
    pub as_of_ms: i64,
    /// The rate that `remainder` and `owed_ns` are counted at; the rate of the run may have changed since. `None`: the rate of the run.
    #[serde(default)]
    pub rate: Option<Rate>,
}

/// See the module's documentation. One per owned run, in the scheduler.
#[derive(Debug, Clone)]
pub struct Pacer {
    rate: Rate,
    total: Option<u64>,
    catch_up: CatchUp,
    cursor: u64,
    remainder: u64,
    unreserved: u64,
    owed_ns: u64,
    last_ns: u64,
    paused: bool,
}

impl Pacer {
    /// A pacer that goes on from `pacing` and earns from `now_ns` on. The time since `pacing` was stored is earned by
    /// [`Pacer::absorb_downtime`].
    pub fn resume(rate: Rate, total: Option<u64>, catch_up: CatchUp, cursor: u64, pacing: Pacing, now_ns: u64) -> Self {
        let earned_at = pacing.rate.unwrap_or(rate);
        let mut pacer = Self {
            rate: earned_at,
            total,
            catch_up,
            cursor,
            remainder: pacing.remainder.min(earned_at.per_ns - 1),
            unreserved: pacing.unreserved,
            owed_ns: pacing.owed_ns,
            last_ns: now_ns,
            paused: false,
        };
        if earned_at != rate {
            pacer.set_rate(rate, now_ns);
        }
        pacer
    }

    /// Accounts for time that passed while no scheduler owned the run.
    pub fn absorb_downtime(&mut self, downtime_ns: u64) {
        if !self.paused {
            self.earn(downtime_ns);
        }
    }

    /// Earns credit for the time up to `now_ns`. Time that does not go forward earns nothing.
    pub fn advance(&mut self, now_ns: u64) {
        let elapsed_ns = now_ns.saturating_sub(self.last_ns);
        self.last_ns = self.last_ns.max(now_ns);
        if !self.paused {
            self.earn(elapsed_ns);
        }
    }

    fn earn(&mut self, elapsed_ns: u64) {
        if elapsed_ns > OUTAGE_NS {
            if self.catch_up == CatchUp::All {
                self.owed_ns = self.owed_ns.saturating_add(elapsed_ns);
            }
            return;
        }
        // Owed time is paid out one for one with new time, so a run never exceeds twice its rate.
        let repaid_ns = self.owed_ns.min(elapsed_ns);
        self.owed_ns -= repaid_ns;
        let earned = u128::from(self.rate.jobs) * u128::from(elapsed_ns + repaid_ns) + u128::from(self.remainder);
        let per_ns = u128::from(self.rate.per_ns);
        self.remainder = (earned % per_ns) as u64;
        self.unreserved = self.unreserved.saturating_add(u64::try_from(earned / per_ns).unwrap_or(u64::MAX));
    }

    /// Jobs to reserve now: earned, not yet taken, and within the total.
    pub fn due(&self) -> u64 {
        if self.paused { 0 } else { self.unreserved.min(self.left()) }
    }

    /// Notes that `count` jobs have been reserved.
    pub fn take(&mut self, count: u64) {
        self.unreserved = self.unreserved.saturating_sub(count);
        self.cursor += count;
    }

    /// Notes that jobs below `cursor` were reserved without this pacer. The pacer takes the time of those reservations for time to earn or
    /// for an outage, so the jobs are taken from what is earned first, and from what is owed then. A lower `cursor` changes nothing.
    pub fn skip_to(&mut self, cursor: u64) {
        let skipped = cursor.saturating_sub(self.cursor);
        let earned = skipped.min(self.unreserved);
        self.unreserved -= earned;
        self.owed_ns = self.owed_ns.saturating_sub(self.rate.ns_for(skipped - earned));
        self.cursor += skipped;
    }

    /// Jobs left until the total; `u64::MAX` without one.
    pub fn left(&self) -> u64 {
        self.total.map_or(u64::MAX, |total| total.saturating_sub(self.cursor))
    }

    pub fn cursor(&self) -> u64 {
        self.cursor
    }

    pub fn is_complete(&self) -> bool {
        self.left() == 0
    }

    /// Nanoseconds until the next job is due; `None` when no job will be.
    pub fn wait_ns(&self) -> Option<u64> {
        if self.paused || self.is_complete() {
            return None;
        }
        if self.unreserved > 0 {
            return Some(0);
        }
        let missing = u128::from(self.rate.per_ns - self.remainder);
        let speed = if self.owed_ns > 0 { 2 } else { 1 };
        let wait = missing.div_ceil(u128::from(self.rate.jobs) * speed);
        Some(u64::try_from(wait).unwrap_or(u64::MAX))
    }

    /// A new rate from `now_ns` on. The earned part of the next job is carried over, and so is what an outage still owes.
    pub fn set_rate(&mut self, rate: Rate, now_ns: u64) {
        self.advance(now_ns);
        let rescale =
            |value: u64, by: u128, over: u128| u64::try_from(u128::from(value) * by / over).unwrap_or(u64::MAX);
        self.remainder = rescale(self.remainder, rate.per_ns.into(), self.rate.per_ns.into()).min(rate.per_ns - 1);
        if self.owed_ns > 0 {
            let owed_jobs = rescale(self.owed_ns, self.rate.jobs.into(), self.rate.per_ns.into());
            self.owed_ns = rate.ns_for(owed_jobs);
        }
        self.rate = rate;
    }

    pub fn set_total(&mut self, total: Option<u64>) {
        self.total = total;
    }

    /// Paused time earns nothing; what was earned before stays.
    pub fn pause(&mut self, now_ns: u64) {
        self.advance(now_ns);
        self.paused = true;
    }

    pub fn unpause(&mut self, now_ns: u64) {
        self.last_ns = self.last_ns.max(now_ns);
        self.paused = false;
    }

    /// The state to store; `now_wall_ms` is the wall time of the last [`Pacer::advance`].
    pub fn pacing(&self, now_wall_ms: i64) -> Pacing {
        Pacing {
            remainder: self.remainder,
            unreserved: self.unreserved,
            owed_ns: self.owed_ns,
            as_of_ms: now_wall_ms,
            rate: Some(self.rate),
        }
    }

    /// The state as it will be once `count` more jobs are taken: a reservation stores the state after itself.
    pub fn pacing_after(&self, count: u64, now_wall_ms: i64) -> Pacing {
        Pacing { unreserved: self.unreserved.saturating_sub(count), ..self.pacing(now_wall_ms) }
    }
}

#[cfg(test)]
mod tests;

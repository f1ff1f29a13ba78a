//! L6: how many jobs may exist by now.
//!
//! The ceiling is the integral of the accepted rate over true time since the run was asked for (paused time earns nothing):
//! `enqueued ≤ floor(ceiling) + 1 + slack`. What is between two rates is charged at the higher one: an owner earns at the rate it
//! knows, and it knows a change at the latest when it has written twice since. The first of the two may be the very call whose
//! answer tells it. A run without an owner is taken up with the rate of that moment for the whole time since the last write, so
//! a raise also charges that time.
//! (A write stores what the owner knew when it last earned, which may be some seconds before the write itself.)
//!
//! The slack is what no owner can know better:
//! * one job a change of the rate, because the earned part of a job is carried over in whole units;
//! * per take-over one job, and the rate over (1 ms + the span of all wall clocks): the time without an owner is known only as the
//!   difference of two wall clocks, in whole milliseconds, and they may belong to two machines.
//!
//! A write that has its effect when its owner has long given up on it is within the port's contract and puts the pacer's state
//! back; from then on this ceiling says nothing, and it is not checked any more.

use paceline_core::pacing::{Pacing, Rate};
use paceline_core::run::{RunRecord, RunState};

use super::broken::Broken;
use crate::at::At;
use crate::clock::WALL_MS;

/// By then somebody has found the run, leased it and made its first moment good.
const SETTLED_US: u64 = 1_500_000;

#[derive(Debug, Clone)]
pub struct Pace {
    /// Jobs that may have been earned.
    ceiling: f64,
    changes: f64,
    take_overs: f64,
    as_of_us: u64,
    /// Rates that the owner may still be working with, jobs a second.
    in_play: Vec<f64>,
    writes_since_change: u32,
    stored_as_of_us: u64,
    highest: f64,
    begun_us: u64,
    is_changed: bool,
    is_open: bool,
}

impl Pace {
    /// A run that was asked for `age_us` ago.
    pub fn new(now_us: u64, age_us: u64, rate: Rate) -> Self {
        let per_second = rate.per_second();
        Self {
            ceiling: per_second * age_us as f64 / 1e6,
            changes: 0.0,
            take_overs: 0.0,
            as_of_us: now_us,
            in_play: vec![per_second],
            writes_since_change: 0,
            stored_as_of_us: now_us.saturating_sub(age_us),
            highest: per_second,
            begun_us: now_us.saturating_sub(age_us),
            is_changed: false,
            is_open: false,
        }
    }

    fn accrue(&mut self, now_us: u64) {
        let elapsed_s = now_us.saturating_sub(self.as_of_us) as f64 / 1e6;
        self.ceiling += elapsed_s * self.fastest();
        self.as_of_us = now_us;
    }

    fn fastest(&self) -> f64 {
        self.in_play.iter().copied().fold(0.0, f64::max)
    }

    /// A caller's change was accepted.
    pub fn changed(&mut self, now_us: u64, run: &RunRecord) {
        self.accrue(now_us);
        self.is_changed = true;
        let rate = if run.state == RunState::Running { run.spec.rate.per_second() } else { 0.0 };
        let above = (rate - self.fastest()).max(0.0);
        self.ceiling += above * now_us.saturating_sub(self.stored_as_of_us) as f64 / 1e6;
        self.changes += 1.0;
        self.highest = self.highest.max(rate);
        self.in_play.push(rate);
        self.writes_since_change = 0;
    }

    /// Somebody got the lease: it may take the run up from its stored state.
    pub fn taken_up(&mut self) {
        self.take_overs += 1.0;
    }

    /// The run goes on from `run`, as it was before or is kept elsewhere: what was earned since may be earned again, at any rate
    /// that was ever asked for.
    pub fn went_back(&mut self, now_us: u64, run: &RunRecord, clock_span_ms: i64) {
        self.accrue(now_us);
        let as_of_us = as_of_us(now_us, &run.pacing, clock_span_ms).min(self.stored_as_of_us);
        let owed_s = run.pacing.owed_ns as f64 / 1e9 + now_us.saturating_sub(as_of_us) as f64 / 1e6;
        let known = run.cursor as f64 + run.pacing.unreserved as f64 + 1.0;
        self.ceiling = self.ceiling.max(known + owed_s * self.highest);
        self.stored_as_of_us = as_of_us;
        self.take_overs += 1.0;
        self.changes += 1.0;
        self.is_changed = true;
        let rate = if run.state == RunState::Running { run.spec.rate.per_second() } else { 0.0 };
        self.highest = self.highest.max(rate);
        self.in_play.push(rate);
        self.writes_since_change = 0;
    }

    /// The owner stored its pacer's state.
    pub fn wrote(&mut self, at: At, pacing: &Pacing, clock_span_ms: i64) {
        self.accrue(at.now_us);
        if at.is_copy {
            return;
        }
        self.is_open |= at.is_late;
        // The stored credit may be of an earlier moment than the write: an owner that stops writes what it knew.
        self.stored_as_of_us = as_of_us(at.now_us, pacing, clock_span_ms);
        self.writes_since_change += 1;
        if self.writes_since_change >= 2
            && let Some(current) = self.in_play.pop()
        {
            self.in_play = vec![current];
        }
    }

    /// After a reservation.
    /// The span is that of now: a clock may be set between the lease and the moment that the new owner reads it.
    pub fn check(&self, cursor: u64, clock_span_ms: i64) -> Result<(), Broken> {
        let per_take_over = 1.0 + self.highest * (clock_span_ms + 1) as f64 / 1e3;
        let slack = self.changes + self.take_overs * per_take_over;
        let limit = self.ceiling.floor() + 1.0 + slack;
        if self.is_open || cursor as f64 <= limit {
            return Ok(());
        }
        let ceiling = self.ceiling;
        Err(("L6", format!("{cursor} jobs exist; the schedule allows {ceiling:.2} and a slack of {slack:.2}")))
    }

    /// Without any fault, at one rate, and once the first owner has begun: no more than one job, or 20 ms of work, behind.
    pub fn check_exact(&self, now_us: u64, run: &RunRecord) -> Result<(), Broken> {
        let Some(age_us) = now_us.checked_sub(self.begun_us).filter(|_| !self.is_changed) else { return Ok(()) };
        let is_going = run.state == RunState::Running && run.spec.total != Some(run.cursor);
        if !is_going || age_us < SETTLED_US {
            return Ok(());
        }
        let due = (self.highest * age_us as f64 / 1e6).floor();
        let due = run.spec.total.map_or(due, |total| due.min(total as f64));
        if due - run.cursor as f64 <= (self.highest * 0.020).max(1.0) {
            return Ok(());
        }
        Err(("L6", format!("{} jobs exist without any fault; the schedule asks for {due}", run.cursor)))
    }
}

/// True time up to which the pacer had earned, at the earliest.
fn as_of_us(now_us: u64, pacing: &Pacing, clock_span_ms: i64) -> u64 {
    let as_of_ms = (pacing.as_of_ms - WALL_MS - clock_span_ms).max(0);
    now_us.min(u64::try_from(as_of_ms.saturating_mul(1000)).unwrap_or(0))
}

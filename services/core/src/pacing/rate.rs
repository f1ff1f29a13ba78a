//! The rate of a run and its limits, which have their home here.

use serde::{Deserialize, Serialize};

/// The fastest rate that may be asked for, jobs a second.
pub const RATE_PER_SECOND_MAX: u64 = 1_000_000;
/// The longest Y: a year.
pub const PER_MINUTES_MAX: f64 = 366.0 * 24.0 * 60.0;
/// The shortest Y: a millisecond.
pub const PER_MINUTES_MIN: f64 = 1.0 / 60_000.0;

const NS_PER_MINUTE: f64 = 60e9;

/// "X jobs every Y minutes", Y in whole nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rate {
    pub jobs: u64,
    pub per_ns: u64,
}

impl Rate {
    /// Checks X and Y; the error names every bad field and its limit.
    pub fn new(jobs: u64, per_minutes: f64) -> Result<Self, Vec<(&'static str, String)>> {
        let mut wrong = Vec::new();
        if jobs == 0 {
            wrong.push(("jobs", "must be at least 1".into()));
        }
        if !per_minutes.is_finite() || per_minutes <= 0.0 {
            wrong.push(("per_minutes", format!("must be a number above 0, not {per_minutes}")));
        } else if !(PER_MINUTES_MIN..=PER_MINUTES_MAX).contains(&per_minutes) {
            let range = format!("{PER_MINUTES_MIN:.6} (1 ms) and {PER_MINUTES_MAX} (366 days)");
            wrong.push(("per_minutes", format!("must be between {range}, not {per_minutes}")));
        }
        if !wrong.is_empty() {
            return Err(wrong);
        }
        let rate = Self { jobs, per_ns: (per_minutes * NS_PER_MINUTE).round() as u64 };
        let per_second = rate.per_second();
        if per_second > RATE_PER_SECOND_MAX as f64 {
            let limit = format!("is above the limit of {RATE_PER_SECOND_MAX}; lower jobs or raise per_minutes");
            return Err(vec![("jobs", format!("{per_second:.0} jobs a second {limit}"))]);
        }
        Ok(rate)
    }

    pub fn per_second(self) -> f64 {
        self.jobs as f64 * 1e9 / self.per_ns as f64
    }

    pub fn per_minutes(self) -> f64 {
        self.per_ns as f64 / NS_PER_MINUTE
    }

    /// Time to earn `jobs` jobs at this rate, rounded up, saturating.
    pub fn ns_for(self, jobs: u64) -> u64 {
        let ns = (u128::from(jobs) * u128::from(self.per_ns)).div_ceil(u128::from(self.jobs));
        u64::try_from(ns).unwrap_or(u64::MAX)
    }
}

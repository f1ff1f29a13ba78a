//! The limits that a caller sets for the number of workers, and their check.

use crate::error::Violations;
use crate::error::codes;

/// The backlog is to be done within this time, unless told otherwise.
pub const DRAIN_SECONDS_DEFAULT: f64 = 60.0;
const DRAIN_SECONDS_MAX: f64 = 86_400.0;
/// The rate of one worker a second where none has measured it, unless told otherwise. Low: too many workers leave again.
pub const JOBS_PER_SECOND_DEFAULT: f64 = 100.0;
pub const WORKERS_MAX_DEFAULT: u32 = 1_000;

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

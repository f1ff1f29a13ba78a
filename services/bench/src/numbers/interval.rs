//! The measured interval: what roles, services and the machine used between two moments of a run, and its rates.

use super::usage::Usage;

/// A run and its roles at one moment.
#[derive(Debug, Clone)]
pub struct Moment {
    pub at_ns: u64,
    /// Jobs that have ended.
    pub ended: u64,
    pub usage: Usage,
    /// The usage of the services that run on this machine; empty where it cannot be read.
    pub services: Usage,
    /// CPU time of every process of this machine.
    pub busy_us: u64,
}

#[derive(Debug, Clone)]
pub struct Interval {
    pub begin: Moment,
    pub end: Moment,
}

impl Interval {
    pub fn seconds(&self) -> f64 {
        self.end.at_ns.saturating_sub(self.begin.at_ns) as f64 / 1e9
    }

    pub fn jobs(&self) -> u64 {
        self.end.ended.saturating_sub(self.begin.ended)
    }

    /// CPU time of every process of this machine, a job.
    pub fn machine_us_per_job(&self) -> f64 {
        self.end.busy_us.saturating_sub(self.begin.busy_us) as f64 / self.jobs().max(1) as f64
    }

    pub fn jobs_per_second(&self) -> f64 {
        self.jobs() as f64 / self.seconds().max(1e-9)
    }
}

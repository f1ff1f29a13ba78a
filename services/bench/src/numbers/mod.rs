//! The numbers that a benchmark reads: [`usage`] of processes and [`machine`] of all of them from Linux's /proc, [`memory`] at shares of
//! the jobs, [`interval`] between two moments, [`tally`] from the workers' heartbeats.
//!
//! Nothing here starts anything or knows a mode.

pub mod interval;
pub mod machine;
pub mod memory;
pub mod tally;
pub mod usage;

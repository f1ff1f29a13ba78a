//! The metrics of a scheduler: its counts, and the numbers of the newest runs that it has owned.
//!
//! In this room: everything that is shown of runs. It uses the runtime, the ledger and the states of producers; it decides nothing.
//!
//! Owners say by [`OwnedRun`] how they keep the pace. The other numbers are read from the ledger: every two seconds while the run is owned,
//! once more after its owner has ended, and from then on once a minute, because a run that has ended may be repaired or resumed.

mod numbers;
mod owned;
mod run;
mod scheduler;
#[cfg(test)]
mod tests;

pub use owned::OwnedRun;
pub use scheduler::SchedulerMetrics;

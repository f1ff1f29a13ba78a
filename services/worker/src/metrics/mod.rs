//! The counts of a worker.
//!
//! In this room: everything that is counted of jobs, for the heartbeat and for the metrics. It uses the runtime; it decides nothing.

mod classes;
mod load;
mod queue;
mod stats;
mod worker;

pub use classes::{DeathClass, RetryClass};
pub use load::Meter;
pub use queue::QueueMetrics;
pub use stats::Stats;
pub use worker::WorkerMetrics;

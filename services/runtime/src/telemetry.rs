//! The telemetry of a process: its log, the traces of jobs, its metrics.
//!
//! Here: everything that tells the outside how a process does. It may use core and the lifecycle; the work of a role never waits for it.

pub mod calls;
pub mod export;
mod identity;
pub mod log;
pub mod metrics;
pub mod names;
pub mod otlp;
pub mod traces;
pub mod warnings;

pub use identity::Identity;
pub use log::{Log, LogFilter, LogFormat};
pub use warnings::Warnings;

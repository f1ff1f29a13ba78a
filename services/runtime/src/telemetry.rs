//! The telemetry of a process: its log, the traces of jobs, its metrics.

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

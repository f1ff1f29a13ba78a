//! Settings of the process: defaults, then `paceline.toml`, then `PACELINE_…` variables; flags come last, in the CLI.
//!
//! Every key is the same in the file and, in capitals with the prefix, in the environment, where `payload` of `[sink]` is
//! `PACELINE_SINK_PAYLOAD`. The queues are in the file alone. [`values`] are the settings with their [`sections`], [`load`] reads
//! them, [`check`] refuses wrong ones.
//!
//! Here: reading and checking, and no opening. It may use core's rules and the telemetry's formats; whoever needs a setting is handed its
//! value.

mod check;
mod load;
mod secrets;
mod sections;
#[cfg(test)]
mod tests;
mod text;
mod values;

pub use load::DEFAULT_FILE;
pub use sections::{MetricSettings, SinkSettings, TraceSettings};
pub use values::Settings;

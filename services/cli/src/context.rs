//! The context of a command: what `main` has read and started before it. Commands take it; nothing below them does.

use paceline_runtime::settings::Settings;
use paceline_runtime::telemetry::Log;

use crate::output::Output;

/// The settings, the output and the log of this process.
#[derive(Debug)]
pub struct CommandContext {
    pub settings: Settings,
    pub output: Output,
    /// `--server` was given, so that scheduler and no other way shall answer.
    pub server_is_explicit: bool,
    /// The log of this process, and its warnings.
    pub log: Log,
}

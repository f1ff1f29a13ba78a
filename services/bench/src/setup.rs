//! The part of a benchmark that its caller has: settings, the warnings of the log, and a console. Everything else it makes itself.

use std::sync::Arc;

use paceline_runtime::settings::Settings;
use paceline_runtime::telemetry::Warnings;

/// Hears the progress of a benchmark: a line for a person at a time.
pub trait Console: Send + Sync {
    fn talk(&self, line: &str);
}

pub struct Setup {
    /// The user's; the benchmark takes another namespace.
    pub settings: Settings,
    /// Warnings in the log of this process.
    pub warnings: Warnings,
    pub console: Arc<dyn Console>,
}

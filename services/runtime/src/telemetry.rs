//! Logs: to stderr, for people on a terminal, as JSON in a container when asked.

pub mod export;
pub mod names;
pub mod otlp;
pub mod traces;
pub mod warnings;

use std::io::IsTerminal as _;

use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, fmt};

pub use warnings::Warnings;

/// How the log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    #[default]
    Text,
    Json,
}

/// Starts logging for the process, and answers what hears of its warnings. `filter` is in the syntax of `RUST_LOG`. Starting
/// twice keeps the first.
pub fn start(filter: &str, format: LogFormat) -> anyhow::Result<Warnings> {
    let filter = EnvFilter::try_new(directives(filter)).map_err(|e| anyhow::anyhow!("log filter {filter:?}: {e}"))?;
    let lines = fmt::layer().with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
    let lines = match format {
        LogFormat::Text => lines.with_target(false).boxed(),
        LogFormat::Json => lines.json().boxed(),
    };
    let warnings = Warnings::default();
    // Somebody else's subscriber is already there: a test's. That is fine.
    _ = tracing_subscriber::registry().with(filter).with(lines).with(warnings.clone()).try_init();
    Ok(warnings)
}

/// lapin logs each failure itself, beside the error that it returns, and whole messages with their payload. It is heard only where
/// the filter names it. An empty filter lets errors through: with a directive of ours behind it, it would let nothing.
fn directives(filter: &str) -> String {
    let is_empty = filter.split(',').all(|directive| directive.trim().is_empty());
    let filter = if is_empty { "error" } else { filter };
    if filter.contains("lapin") { filter.to_owned() } else { format!("{filter},lapin=off") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lapin_is_heard_only_when_it_is_named() {
        assert_eq!(directives("info"), "info,lapin=off");
        assert_eq!(directives("info,lapin=debug"), "info,lapin=debug");
        assert_eq!([directives(""), directives(",")], ["error,lapin=off", "error,lapin=off"]);
        assert!(EnvFilter::try_new(directives("warn,paceline_worker=debug")).is_ok());
    }
}

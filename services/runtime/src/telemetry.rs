//! Logs: to stderr, for people on a terminal, as JSON in a container when asked.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

/// How the log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    #[default]
    Text,
    Json,
}

/// Starts logging for the process. `filter` is in the syntax of `RUST_LOG`. Starting twice keeps the first.
pub fn start(filter: &str, format: LogFormat) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(directives(filter)).map_err(|e| anyhow::anyhow!("log filter {filter:?}: {e}"))?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    // Somebody else's subscriber is already there: a test's. That is fine.
    _ = match format {
        LogFormat::Text => builder.with_target(false).try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
    Ok(())
}

/// lapin logs each failure itself, beside the error that it returns, and whole messages with their payload. It is heard only where
/// the filter names it.
fn directives(filter: &str) -> String {
    if filter.contains("lapin") { filter.to_owned() } else { format!("{filter},lapin=off") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lapin_is_heard_only_when_it_is_named() {
        assert_eq!(directives("info"), "info,lapin=off");
        assert_eq!(directives("info,lapin=debug"), "info,lapin=debug");
        assert!(EnvFilter::try_new(directives("warn,paceline_worker=debug")).is_ok());
    }
}

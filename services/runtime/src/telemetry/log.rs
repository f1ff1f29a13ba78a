//! The log of the process: to stderr, for people on a terminal and as JSON elsewhere, with a filter that can be changed while it runs.

use std::io::IsTerminal as _;
use std::sync::{Arc, Mutex};

use paceline_core::error::codes;
use paceline_core::{Error, Result};
use tracing_subscriber::filter::{FilterExt as _, LevelFilter, Targets};
use tracing_subscriber::layer::{Filter, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, Registry, fmt, reload};

use super::calls::CallSpans;
use super::warnings::Warnings;

/// The longest filter that is taken at run time, in bytes.
pub const FILTER_BYTES_MAX: usize = 4_096;

/// The look of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Text if stderr is a terminal, otherwise JSON.
    #[default]
    Auto,
    Text,
    Json,
}

impl LogFormat {
    /// Text or JSON, as it is in this process.
    pub fn here(self) -> Self {
        match self {
            Self::Auto if std::io::stderr().is_terminal() => Self::Text,
            Self::Auto => Self::Json,
            chosen => chosen,
        }
    }
}

/// The log as it was started.
#[derive(Debug, Clone, Default)]
pub struct Log {
    pub warnings: Warnings,
    pub filter: LogFilter,
    /// Spans of the API's calls, which come the same way as its lines.
    pub calls: CallSpans,
}

/// The filter of the log; a clone is the same. Without a log of ours, as in a test, nothing can be changed.
#[derive(Debug, Clone, Default)]
pub struct LogFilter {
    handle: Option<reload::Handle<EnvFilter, Registry>>,
    text: Arc<Mutex<String>>,
}

impl LogFilter {
    pub fn text(&self) -> String {
        self.text.lock().expect("no code panics while it holds a text").clone()
    }

    /// Logs by `filter` from now on. A bare word that is no level is refused, although `RUST_LOG` takes it for the name of a module and
    /// logs nothing else from then on: such a word is a level with a typing error.
    ///
    /// Errors: INVALID_ARGUMENT for a wrong filter; FAILED_PRECONDITION where the process has no log of its own.
    pub fn change(&self, filter: &str) -> Result<()> {
        let wrong = |why: String| Error::invalid_field("log", why).coded(codes::LOG_FILTER_INVALID);
        if let Some(why) = mistake(filter) {
            return Err(wrong(why));
        }
        let parsed = parse(filter).map_err(wrong)?;
        let gone = || Error::failed_precondition("this process has no log of its own").coded(codes::LOG_NOT_CHANGEABLE);
        let mut text = self.text.lock().expect("no code panics while it holds a text");
        self.handle.as_ref().ok_or_else(gone)?.reload(parsed).map_err(|_| gone())?;
        tracing::info!(before = *text, now = filter, "the log's filter has been changed");
        filter.clone_into(&mut text);
        Ok(())
    }
}

/// Starts logging for the process. `filter` is in the syntax of `RUST_LOG`. Starting
/// twice keeps the first.
pub fn start(filter: &str, format: LogFormat) -> anyhow::Result<Log> {
    let (layer, handle) = reload::Layer::new(parse(filter).map_err(anyhow::Error::msg)?);
    let lines = fmt::layer().with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
    let lines = match format.here() {
        LogFormat::Text | LogFormat::Auto => lines.with_target(false).boxed(),
        LogFormat::Json => lines.json().boxed(),
    };
    let warnings = Warnings::default();
    // The filter is that of the lines alone: what is logged decides neither what is counted nor what is traced.
    let (calls, lines) = (CallSpans::default(), lines.with_filter(without_secrets(layer)));
    let counted = warnings
        .clone()
        .with_filter(Targets::new().with_default(LevelFilter::WARN).with_target("lapin", LevelFilter::OFF));
    // Somebody else's subscriber may be there already: a test's. That is fine.
    _ = tracing_subscriber::registry().with(lines).with(counted).with(calls.layer()).try_init();
    let filter = LogFilter { handle: Some(handle), text: Arc::new(Mutex::new(filter.to_owned())) };
    Ok(Log { warnings, filter, calls })
}

/// A filter without lapin at TRACE, where lapin logs all that it sends, the broker's password too.
fn without_secrets<S: tracing::Subscriber>(filter: impl Filter<S>) -> impl Filter<S> {
    filter.and(Targets::new().with_default(LevelFilter::TRACE).with_target("lapin", LevelFilter::DEBUG))
}

fn parse(filter: &str) -> Result<EnvFilter, String> {
    // Values of fields are compared as text: to build a pattern may take all of the memory.
    let parsed = EnvFilter::builder().with_regex(false).parse(directives(filter));
    parsed.map_err(|e| format!("{filter:?} is no filter: {e}"))
}

/// The reason why nobody can mean this filter, if there is one.
fn mistake(filter: &str) -> Option<String> {
    if filter.len() > FILTER_BYTES_MAX {
        return Some(format!("a filter has at most {FILTER_BYTES_MAX} bytes"));
    }
    if filter.trim().is_empty() {
        return Some("the filter is empty; say for instance info, or info,paceline_worker=debug, or off".to_owned());
    }
    let is_level = |word: &str| word.parse::<LevelFilter>().is_ok();
    let mut words = filter.split(',').map(str::trim).filter(|word| !word.contains(['=', '[', ']', '{', '}']));
    let wrong = words.find(|word| !is_level(word))?;
    Some(format!("{wrong:?} is no level (off, error, warn, info, debug, trace); for a module say {wrong}=debug"))
}

/// lapin logs each failure itself, beside the error that it returns, and whole messages with their payload. lapin is heard only
/// where the filter names it. An empty filter lets errors through: with a directive of ours behind it, it would let nothing.
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

    #[test]
    fn no_filter_lets_through_what_lapin_says_at_trace() {
        for filter in
            ["lapin=TRACE", "lapin=5", "lapin=", "info,lapin", "trace,lapin::channel=info", "lapin::io_loop=trace"]
        {
            let lines = fmt::layer().with_writer(std::io::sink).with_filter(without_secrets(parse(filter).unwrap()));
            tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), || {
                assert!(!tracing::enabled!(target: "lapin::io_loop", tracing::Level::TRACE), "{filter}");
            });
        }
        let lines =
            fmt::layer().with_writer(std::io::sink).with_filter(without_secrets(parse("trace,lapin=trace").unwrap()));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), || {
            assert!(tracing::enabled!(target: "lapin::io_loop", tracing::Level::DEBUG));
            assert!(tracing::enabled!(target: "paceline_worker", tracing::Level::TRACE));
        });
    }

    #[test]
    fn a_filter_is_changed_at_run_time_and_a_mistake_changes_nothing() {
        let (layer, handle) = reload::Layer::new(parse("warn").unwrap());
        let filter = LogFilter { handle: Some(handle), text: Arc::new(Mutex::new("warn".into())) };
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            assert!(!tracing::enabled!(tracing::Level::INFO));
            filter.change("info,paceline_worker=debug").unwrap();
            assert!(tracing::enabled!(tracing::Level::INFO));
            let wrong = [("inof", "\"inof\" is no level"), ("x=loud", "no filter"), (" ", "empty")];
            for (wrong, word) in wrong {
                let error = filter.change(wrong).unwrap_err();
                assert!(error.message.contains(word), "{error}");
            }
            assert!(tracing::enabled!(tracing::Level::INFO));
            assert_eq!(filter.text(), "info,paceline_worker=debug");
        });
        assert!(LogFilter::default().change("info").is_err());
    }
}

//! The memory of warnings, for a command that must say whether all went well: their number, and the first few by word.

use std::fmt::{self, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// The number of warnings that are kept by word; the first ones are the cause, those that follow mostly suffer from it.
const KEPT_MAX: usize = 5;
/// The most characters that are kept of one warning.
const CHARS_MAX: usize = 300;

/// The memory; a clone is the same one. As a layer of the log it hears every warning of this process, whatever the log's filter lets through.
#[derive(Debug, Clone, Default)]
pub struct Warnings(Arc<Memory>);

#[derive(Debug, Default)]
struct Memory {
    heard: Mutex<Heard>,
    /// The number of lines that this process itself has logged, by level.
    warned: AtomicU64,
    failed: AtomicU64,
}

/// The warnings that were heard up to now.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Heard {
    /// WARN and ERROR.
    pub count: u64,
    pub first: Vec<String>,
}

impl Warnings {
    pub fn note(&self, text: &str) {
        let mut heard = self.lock();
        heard.count += 1;
        if heard.first.len() < KEPT_MAX {
            heard.first.push(text.chars().take(CHARS_MAX).collect());
        }
    }

    pub fn heard(&self) -> Heard {
        self.lock().clone()
    }

    /// Lines of this process's log at WARN.
    pub fn warned(&self) -> u64 {
        self.0.warned.load(Ordering::Relaxed)
    }

    /// Lines of this process's log at ERROR.
    pub fn failed(&self) -> u64 {
        self.0.failed.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, Heard> {
        // A count stays a count, whoever panicked.
        self.0.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Layer ===

impl<S: Subscriber> Layer<S> for Warnings {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let level = *event.metadata().level();
        if level > Level::WARN {
            return;
        }
        let count = if level == Level::ERROR { &self.0.failed } else { &self.0.warned };
        count.fetch_add(1, Ordering::Relaxed);
        let mut words = Words(level.to_string());
        event.record(&mut words);
        self.note(&words.0);
    }
}

/// The message and the fields, as the log shows them.
struct Words(String);

impl Visit for Words {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a String cannot fail.
        _ = match field.name() {
            "message" => write!(self.0, " {value:?}"),
            name => write!(self.0, " {name}={value:?}"),
        };
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[test]
    fn warnings_and_errors_are_counted_and_the_first_are_kept() {
        let warnings = Warnings::default();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(warnings.clone()), || {
            tracing::info!("fine");
            for number in 0..KEPT_MAX {
                tracing::warn!(number, "careful");
            }
            tracing::error!("too late");
        });
        let heard = warnings.heard();
        assert_eq!((heard.count, heard.first.len()), (KEPT_MAX as u64 + 1, KEPT_MAX));
        assert_eq!(heard.first[0], "WARN careful number=0");
        assert_eq!((warnings.warned(), warnings.failed()), (KEPT_MAX as u64, 1));
    }
}

//! The ends of one execution of a job.

use std::time::Duration;

use paceline_core::document::Document;
use paceline_core::ids::RunId;
use paceline_core::ports::broker::Delivery;

use crate::metrics::{DeathClass, RetryClass};
use crate::spans::Way;

/// The longest reason that is stored and dead-lettered, in bytes; the rest is cut off.
const REASON_BYTES_MAX: usize = 2_048;

/// The next step of a delivery.
#[allow(clippy::large_enum_variant, reason = "the large one is nearly every one; a box would be an allocation a job")]
pub enum Executed {
    /// Store the document, count it, then settle.
    Ended(Execution),
    /// Put it into the delay queue.
    Retry(Box<FailedAttempt>),
    /// Not a job of ours: put it into the dead queue, without a document.
    Unreadable { delivery: Delivery, reason: String },
}

/// An attempt that is followed by another.
pub struct FailedAttempt {
    pub delivery: Delivery,
    pub run: RunId,
    pub after: Duration,
    pub reason: String,
    pub class: RetryClass,
    /// The queue as the message says it.
    pub queue: String,
    pub way: Way,
}

/// The reason for which a job is dead; the job's message goes to the dead queue with it.
#[derive(Debug, Clone)]
pub struct Death {
    pub class: DeathClass,
    pub reason: String,
}

/// An execution that ended the job: its document is to be stored.
pub struct Execution {
    /// Taken by the flusher, which keeps documents side by side for the sink.
    pub document: Option<Document>,
    pub delivery: Delivery,
    pub dead: Option<Death>,
    pub way: Way,
}

/// Cuts at a character's boundary.
pub fn shorten(mut reason: String) -> String {
    reason.truncate(reason.floor_char_boundary(REASON_BYTES_MAX));
    reason
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_cut_between_characters() {
        let long = "é".repeat(REASON_BYTES_MAX);
        let cut = shorten(format!("a{long}"));
        assert!(cut.len() <= REASON_BYTES_MAX && cut.len() > REASON_BYTES_MAX - 3);
        assert_eq!(shorten("short".into()), "short");
    }
}

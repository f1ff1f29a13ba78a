//! Consumers that end together, because their connection is lost, are one line in the log and not one line each.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The number of ended consumers, by queue and reason; the reason names the broker's node.
#[derive(Default)]
pub struct ConsumerEndings(Mutex<BTreeMap<(String, String), usize>>);

impl ConsumerEndings {
    /// A consumer of `queue` ended. True for the first of its kind, which is to come back with [`Self::take`] when the others had time to
    /// end too.
    pub fn note(&self, queue: &str, reason: &str) -> bool {
        let mut ended = self.ended();
        let count = ended.entry((queue.to_owned(), reason.to_owned())).or_default();
        *count += 1;
        *count == 1
    }

    /// The number of consumers that have ended so until now; they are noted no more.
    pub fn take(&self, queue: &str, reason: &str) -> usize {
        self.ended().remove(&(queue.to_owned(), reason.to_owned())).unwrap_or(0)
    }

    fn ended(&self) -> MutexGuard<'_, BTreeMap<(String, String), usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn consumers_that_end_together_are_told_by_the_first_of_them() {
        let endings = ConsumerEndings::default();
        let tells: Vec<bool> = (0..128).map(|_| endings.note("mail", "h1 is lost")).collect();
        assert_eq!(tells.iter().filter(|tells| **tells).count(), 1);
        assert!(endings.note("mail", "h2 is lost") && endings.note("other", "h1 is lost"));
        assert_eq!(endings.take("mail", "h1 is lost"), 128);
        assert!(endings.note("mail", "h1 is lost"), "the next time is another line");
        assert_eq!(endings.take("mail", "h1 is lost"), 1);
    }
}

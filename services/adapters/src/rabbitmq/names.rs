//! The names of the exchange and the queues of a (queue, group).
//!
//! ```text
//! <ns> ──queue──▶ <ns>.<queue>.<group> ──limit, expiry──▶ ….given-up      consumed too, to record it as dead
//!                       ▲                                  ….dead          kept for people
//!                       └──after its seconds── ….retry.<seconds>           nobody consumes
//! ```

use std::time::Duration;

use paceline_core::Result;
use paceline_core::ids::{check_group, check_queue};
use paceline_core::retry::{LADDER_S, round_up};

/// The names of a (queue, group).
#[derive(Debug, Clone)]
pub struct QueueNames {
    pub exchange: String,
    pub routing_key: String,
    pub main: String,
    pub given_up: String,
    pub dead: String,
    /// One a step of [`LADDER_S`].
    pub retries: [String; LADDER_S.len()],
}

impl QueueNames {
    pub fn new(namespace: &str, queue: &str, group: &str) -> Result<Self> {
        // A group and the end of a queue's name must not look like one of the suffixes: two (queue, group) would share a queue.
        check_queue("queue", queue)?;
        check_group("group", group)?;
        let main = format!("{namespace}.{queue}.{group}");
        Ok(Self {
            exchange: namespace.to_owned(),
            routing_key: queue.to_owned(),
            given_up: format!("{main}.given-up"),
            dead: format!("{main}.dead"),
            retries: LADDER_S.map(|seconds| format!("{main}.retry.{seconds}")),
            main,
        })
    }

    /// The delay queue of the ladder's step at or above `delay`.
    pub fn retry(&self, delay: Duration) -> &str {
        let seconds = round_up(delay).as_secs();
        let step = LADDER_S.iter().position(|step| *step == seconds).expect("rounded up to a step");
        &self.retries[step]
    }

    /// Every queue, the main one first.
    pub fn queues(&self) -> impl Iterator<Item = &str> {
        [&self.main, &self.given_up, &self.dead].into_iter().chain(&self.retries).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_design() {
        let names = QueueNames::new("paceline", "default", "main").unwrap();
        assert_eq!(names.main, "paceline.default.main");
        assert_eq!(names.retry(Duration::from_millis(1500)), "paceline.default.main.retry.2");
        assert_eq!(names.retry(Duration::from_secs(99_999)), "paceline.default.main.retry.3600");
        assert_eq!(names.queues().count(), 11);
    }

    #[test]
    fn names_that_could_meet_anothers_queue_are_refused() {
        for (queue, group) in [("q.main", "dead"), ("q", "main.dead"), ("q.main.retry", "1"), ("Q", "main"), ("q", "")]
        {
            assert!(QueueNames::new("n", queue, group).is_err(), "{queue} {group}");
        }
    }
}

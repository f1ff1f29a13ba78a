//! Whether what a worker publishes comes through: retries and dead letters. Documents and counts do not depend on it, so a worker whose
//! publishes fail goes on; but what should be tried again is not, and what is dead stays in its queue.

use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use paceline_core::Result;
use paceline_core::ports::Broker;
use paceline_runtime::readiness::Condition;
use tokio::time::Instant;

/// A failure counts for so long without another: a delivery that could not be settled comes back, maybe to another worker.
const FAILURE_FRESH: Duration = Duration::from_secs(15);

pub struct Publishes {
    condition: Condition,
    last_failure: Mutex<Option<(Instant, String)>>,
}

impl Publishes {
    pub fn new(condition: Condition) -> Self {
        condition.set_ok();
        Self { condition, last_failure: Mutex::default() }
    }

    /// Notes what became of one.
    pub fn tried(&self, settled: &Result<()>) {
        match settled {
            Ok(()) => {
                *self.last_failure() = None;
                self.condition.set_ok();
            }
            Err(error) => {
                let why = format!("a retry or dead letter is not published: {error}");
                *self.last_failure() = Some((Instant::now(), why.clone()));
                self.condition.set_failed(why);
            }
        }
    }

    /// Looks again: the broker may say that it takes none, and a failure may be long ago.
    pub fn look(&self, broker: &dyn Broker) {
        let last_failure = self.last_failure();
        let recent = last_failure.as_ref().filter(|(at, _)| at.elapsed() < FAILURE_FRESH);
        match (broker.blocked(), recent) {
            (Some(reason), _) => {
                self.condition.set_failed(format!("the broker takes no retries and dead letters: {reason}"));
            }
            (None, Some((_, why))) => self.condition.set_failed(why.clone()),
            (None, None) => self.condition.set_ok(),
        }
    }

    fn last_failure(&self) -> MutexGuard<'_, Option<(Instant, String)>> {
        self.last_failure.lock().expect("no code panics while it holds the last failure")
    }
}

#[cfg(test)]
mod tests {
    use paceline_core::Error;
    use paceline_runtime::readiness::Readiness;

    use super::*;
    use crate::stubs::SilentBroker;

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_red_until_another_comes_through_or_nobody_has_tried_for_long() {
        let (readiness, broker) = (Readiness::new("worker", "w"), SilentBroker::default());
        let publishes = Publishes::new(readiness.condition("publishes"));
        assert!(readiness.is_ready(), "nothing was tried");
        for _ in 0..2 {
            publishes.tried(&Err(Error::unavailable("not confirmed")));
            publishes.look(&broker);
            assert!(!readiness.is_ready());
            publishes.tried(&Ok(()));
            publishes.look(&broker);
            assert!(readiness.is_ready());
        }
        publishes.tried(&Err(Error::unavailable("not confirmed")));
        tokio::time::advance(FAILURE_FRESH).await;
        publishes.look(&broker);
        assert!(readiness.is_ready());
    }

    #[tokio::test(start_paused = true)]
    async fn a_broker_that_blocks_publishers_is_named() {
        let (readiness, broker) = (Readiness::new("worker", "w"), SilentBroker::default());
        let publishes = Publishes::new(readiness.condition("publishes"));
        *broker.blocked.lock().unwrap() = Some("low on memory".into());
        publishes.look(&broker);
        let why = readiness.report().checks[0].why.clone().unwrap();
        assert!(why.contains("low on memory"), "{why}");
        *broker.blocked.lock().unwrap() = None;
        publishes.look(&broker);
        assert!(readiness.is_ready());
    }
}

//! The publishes of a worker: retries and dead letters. Documents and counts do not depend on them, so a worker whose publishes fail goes
//! on; but jobs that should be tried again are not, and dead jobs stay in their queue.

use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use paceline_core::ports::Broker;
use paceline_core::{ErrorKind, Result};
use paceline_runtime::readiness::Condition;
use tokio::time::Instant;

/// A failure counts for so long without another: a delivery that could not be settled comes back, maybe to another worker.
const FAILURE_FRESH: Duration = Duration::from_secs(15);

pub struct Publishes {
    condition: Condition,
    /// The last failure of each kind of publish.
    last_failures: Mutex<[Option<(Instant, String)>; 2]>,
}

/// The kinds of a worker's publishes.
#[derive(Debug, Clone, Copy)]
pub enum Published {
    Retry,
    DeadLetter,
}

impl Publishes {
    pub fn new(condition: Condition) -> Self {
        condition.set_ok();
        Self { condition, last_failures: Mutex::default() }
    }

    /// Notes the end of one publish.
    pub fn tried(&self, what: Published, settled: &Result<()>) {
        let failure = match settled {
            Ok(()) => None,
            // Its channel was gone before: nothing was published.
            Err(error) if error.kind == ErrorKind::Aborted => return,
            Err(error) => {
                let name = match what {
                    Published::Retry => "retry",
                    Published::DeadLetter => "dead letter",
                };
                Some((Instant::now(), format!("a {name} is not published: {error}")))
            }
        };
        let mut last = self.last_failures();
        last[what as usize] = failure;
        self.show(&last);
    }

    /// The newest failure that still counts.
    fn show(&self, last: &[Option<(Instant, String)>; 2]) {
        let fresh = last.iter().flatten().filter(|(at, _)| at.elapsed() < FAILURE_FRESH);
        match fresh.max_by_key(|(at, _)| *at) {
            Some((_, why)) => self.condition.set_failed(why.clone()),
            None => self.condition.set_ok(),
        }
    }

    /// Looks again: the broker may say that it takes none, and a failure may be long ago.
    pub fn look(&self, broker: &dyn Broker) {
        match broker.blocked() {
            Some(reason) => {
                self.condition.set_failed(format!("the broker takes no retries and dead letters: {reason}"));
            }
            None => self.show(&self.last_failures()),
        }
    }

    fn last_failures(&self) -> MutexGuard<'_, [Option<(Instant, String)>; 2]> {
        self.last_failures.lock().expect("no code panics while it holds the last failures")
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
            publishes.tried(Published::DeadLetter, &Err(Error::unavailable("not confirmed")));
            publishes.tried(Published::Retry, &Ok(()));
            publishes.look(&broker);
            assert!(!readiness.is_ready(), "a retry says nothing about the dead queue");
            publishes.tried(Published::DeadLetter, &Ok(()));
            publishes.look(&broker);
            assert!(readiness.is_ready());
        }
        publishes.tried(Published::Retry, &Err(Error::aborted("its channel is gone")));
        assert!(readiness.is_ready(), "nothing was published");
        publishes.tried(Published::Retry, &Err(Error::unavailable("not confirmed")));
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

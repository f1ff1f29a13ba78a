//! Remembers what a connection has declared just now, and what the broker refused to it.
//!
//! A worker starts its consumers all at once, each needs the same queues, and a broker that was restarted meets every worker at
//! once. A refusal costs a channel, so one is enough for all of them.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use paceline_core::{Error, ErrorKind, Result};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::lock::locked;
use super::names::QueueNames;

/// The time for which a successful declaration is not repeated, and a refused one is not tried again.
const FRESH: Duration = Duration::from_secs(1);

#[derive(Default)]
pub struct Declared {
    /// Keyed by main queue; each behind a lock of its own, so that a queue that hangs holds up no other.
    queues: std::sync::Mutex<HashMap<String, Arc<Mutex<Option<Last>>>>>,
    /// The queues of which the broker refused a consumer, by main queue, and when somebody tried last.
    not_consumed: std::sync::Mutex<HashMap<String, (Instant, Error)>>,
    /// Grows when a queue is found gone: what was declared before is to be declared again.
    generation: AtomicU64,
}

/// The last word of the broker on the queues of a (queue, group).
struct Last {
    at: Instant,
    generation: u64,
    refusal: Option<Error>,
}

impl Declared {
    /// Runs `declare` for a (queue, group) unless that was done a moment ago. A caller that comes meanwhile waits for the answer.
    pub async fn ensure(&self, names: &QueueNames, declare: impl AsyncFnOnce() -> Result<()>) -> Result<()> {
        let queue = self.queue(names);
        let mut last = queue.lock().await;
        let generation = self.generation.load(Ordering::Acquire);
        match last.as_ref().filter(|last| last.at.elapsed() < FRESH) {
            Some(Last { refusal: Some(refusal), .. }) => return Err(refusal.clone()),
            Some(Last { generation: of, .. }) if *of == generation => return Ok(()),
            _ => (),
        }
        let declared = declare().await;
        let refusal = declared.as_ref().err().cloned();
        if refusal.as_ref().is_none_or(is_refusal) {
            *last = Some(Last { at: Instant::now(), generation, refusal });
        }
        declared
    }

    /// Leave to start a consumer: of a queue that was refused, one a second tries.
    pub fn may_consume(&self, names: &QueueNames) -> Result<()> {
        match locked(&self.not_consumed).get_mut(&names.main) {
            Some((at, refusal)) if at.elapsed() < FRESH => Err(refusal.clone()),
            Some((at, _)) => {
                *at = Instant::now();
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// The broker's word on a consumer of the queue.
    pub fn consumed(&self, names: &QueueNames, error: Option<&Error>) {
        let mut refused = locked(&self.not_consumed);
        match error {
            None => _ = refused.remove(&names.main),
            Some(error) if is_refusal(error) => _ = refused.insert(names.main.clone(), (Instant::now(), error.clone())),
            Some(_) => (),
        }
    }

    fn queue(&self, names: &QueueNames) -> Arc<Mutex<Option<Last>>> {
        locked(&self.queues).entry(names.main.clone()).or_default().clone()
    }

    /// A queue is gone.
    pub fn forget(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
    }
}

/// A word that holds until somebody changes the broker: a permission that is missing, a queue that was made otherwise.
fn is_refusal(error: &Error) -> bool {
    error.kind == ErrorKind::FailedPrecondition
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use super::*;

    fn names() -> QueueNames {
        QueueNames::new("paceline", "jobs", "main").unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_declaration_and_a_refusal_hold_for_a_moment_and_a_lost_queue_ends_the_first() {
        let (declared, names, asked) = (Declared::default(), names(), AtomicU32::new(0));
        let ensure = async |answer: Result<()>| {
            declared
                .ensure(&names, async || {
                    asked.fetch_add(1, Ordering::Relaxed);
                    answer
                })
                .await
        };
        assert!(ensure(Ok(())).await.is_ok() && ensure(Ok(())).await.is_ok());
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        declared.forget();
        assert!(ensure(Err(Error::failed_precondition("no"))).await.is_err());
        assert!(ensure(Ok(())).await.is_err(), "the refusal is remembered");
        tokio::time::advance(FRESH).await;
        assert!(ensure(Err(Error::unavailable("away"))).await.is_err());
        assert!(ensure(Ok(())).await.is_ok(), "only a refusal is remembered");
        assert_eq!(asked.load(Ordering::Relaxed), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn of_a_queue_that_is_refused_one_consumer_a_moment_tries() {
        let (declared, names) = (Declared::default(), names());
        assert!(declared.may_consume(&names).is_ok());
        declared.consumed(&names, Some(&Error::failed_precondition("no")));
        assert!(declared.may_consume(&names).is_err());
        tokio::time::advance(FRESH).await;
        assert!(declared.may_consume(&names).is_ok() && declared.may_consume(&names).is_err());
        declared.consumed(&names, None);
        assert!(declared.may_consume(&names).is_ok());
    }
}

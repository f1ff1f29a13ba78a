//! The proof that what a primary has answered is on a replica too, and that it is the primary still: `WAIT`, on a connection of its
//! own beside that of the calls, so that it holds up none of them. Calls that wait for it at the same time share one.
//!
//! What is published goes to the replicas and not into the append-only file, so it costs no fsync here; a replica that has it has
//! everything that was answered before. With one primary and two replicas, what one replica has is on a majority, and a replica
//! that follows two primaries in turn cannot prove the earlier one after the later: no answer that counts is older than another
//! that counted before it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use paceline_core::{Error, Result};
use redis::aio::MultiplexedConnection;
use redis::{RedisError, pipe};
use tokio::sync::Mutex;

/// Replicas that must have it, besides the primary.
const REPLICAS_MIN: u64 = 1;
/// How long they may take. A replica answers at once, after its own fsync.
const WAIT_MAX: Duration = Duration::from_secs(1);

pub(super) struct Barrier {
    connection: MultiplexedConnection,
    channel: String,
    begun: AtomicU64,
    last: Mutex<Round>,
}

struct Round {
    number: u64,
    outcome: Result<(), NotPassed>,
}

#[derive(Clone)]
pub(super) enum NotPassed {
    /// So many replicas had it in time.
    TooFew(u64),
    Failed(RedisError),
}

impl Barrier {
    pub(super) fn new(connection: MultiplexedConnection, namespace: &str) -> Self {
        let last = Mutex::new(Round { number: 0, outcome: Ok(()) });
        Self { connection, channel: format!("{namespace}:barrier"), begun: AtomicU64::new(0), last }
    }

    /// Returns when a replica has everything that was answered before this was called.
    pub(super) async fn pass(&self) -> Result<(), NotPassed> {
        let begun_before = self.begun.load(Ordering::Acquire);
        let mut last = self.last.lock().await;
        if last.number > begun_before {
            return last.outcome.clone();
        }
        let number = self.begun.fetch_add(1, Ordering::AcqRel) + 1;
        let outcome = self.wait().await;
        *last = Round { number, outcome: outcome.clone() };
        outcome
    }

    async fn wait(&self) -> Result<(), NotPassed> {
        let wait_ms = u64::try_from(WAIT_MAX.as_millis()).unwrap_or(u64::MAX);
        let mut both = pipe();
        both.cmd("PUBLISH").arg(&self.channel).arg("").ignore();
        both.cmd("WAIT").arg(REPLICAS_MIN).arg(wait_ms);
        let answer: Result<(u64,), RedisError> = both.query_async(&mut self.connection.clone()).await;
        match answer {
            Ok((replicas,)) if replicas >= REPLICAS_MIN => Ok(()),
            Ok((replicas,)) => Err(NotPassed::TooFew(replicas)),
            Err(error) => Err(NotPassed::Failed(error)),
        }
    }
}

impl NotPassed {
    /// A repeat of the call is harmless and may succeed.
    pub(super) fn into_error(self, server: &str, words: impl FnOnce(&RedisError) -> Error) -> Error {
        match self {
            Self::TooFew(replicas) => Error::unavailable(format!(
                "redis at {server} is not yet replicated: {replicas} of its replicas have this after {} ms, {REPLICAS_MIN} must; \
                 are its replicas running, and is it still the primary?",
                WAIT_MAX.as_millis()
            )),
            Self::Failed(error) => words(&error),
        }
    }
}

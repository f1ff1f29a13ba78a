//! The proof that what a primary has answered is on a replica too, and that it is the primary still: `WAIT`, on a connection of its
//! own beside that of the calls, so that it holds up none of them. Calls that wait for it at the same time share one.
//!
//! The published message goes to the replicas and not into the append-only file, so it costs no fsync here; a replica that has it has
//! everything that was answered before. With one primary and two replicas, what one replica has is on a majority, and a replica
//! that follows two primaries in turn cannot prove the earlier one after the later: no answer that counts is older than another
//! that counted before it.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use paceline_core::error::codes;
use paceline_core::{Error, Result};
use redis::aio::MultiplexedConnection;
use redis::{RedisError, pipe};
use tokio::sync::Mutex;

/// Replicas that must have it, besides the primary.
const REPLICAS_MIN: u64 = 1;
/// Replicas that a primary may have: of three servers two are a majority, of four they are none.
pub(super) const REPLICAS_MAX: usize = 2;
/// The longest that the replicas may take. A replica answers at once, after its own fsync.
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
    /// The number of replicas that had the write in time.
    TooFew(u64),
    Failed(RedisError),
}

impl Barrier {
    pub(super) fn new(connection: MultiplexedConnection, namespace: &str) -> Self {
        let last = Mutex::new(Round { number: 0, outcome: Ok(()) });
        Self { connection, channel: format!("{namespace}:barrier"), begun: AtomicU64::new(0), last }
    }

    pub(super) fn channel(&self) -> &str {
        &self.channel
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
    pub(super) fn into_error(self, server: &str, channel: &str, words: impl FnOnce(&RedisError) -> Error) -> Error {
        match self {
            Self::TooFew(replicas) => Error::unavailable(format!(
                "redis at {server} is not yet replicated: {replicas} of its replicas have this after {} ms, {REPLICAS_MIN} must; \
                 are its replicas running, and is it still the primary?",
                WAIT_MAX.as_millis()
            ))
            .coded(codes::LEDGER_REPLICAS_MISSING),
            Self::Failed(error) if error.is_io_error() || error.is_unrecoverable_error() => words(&error),
            Self::Failed(error) => match error.code() {
                Some("NOPERM") => Error::failed_precondition(format!(
                    "redis at {server} does not let the ledger's user ask for its replicas' word: {error}; the user needs PUBLISH on the \
                     channel {channel}, and WAIT: `ACL SETUSER <user> +publish +wait &{channel}`"
                ))
                .coded(codes::LEDGER_PERMISSION_MISSING),
                // Such as one that has just become a replica. Nobody's word is no proof.
                _ => {
                    Error::unavailable(format!("redis at {server} cannot prove its answer by a replica: {error}"))
                        .coded(codes::LEDGER_REPLICAS_MISSING)
                }
            },
        }
    }
}

/// An error if more replicas are connected than the proof holds for. `replicas` are their addresses, each of them once or more.
pub(super) fn few_enough<'a>(server: &str, replicas: impl IntoIterator<Item = &'a str>) -> Result<()> {
    // One that was cut off and came back is listed twice for a while.
    let distinct: BTreeSet<&str> = replicas.into_iter().collect();
    if distinct.len() <= REPLICAS_MAX {
        return Ok(());
    }
    Err(Error::failed_precondition(format!(
        "redis at {server} has {} replicas ({}), and the word of one is a majority's word with at most {REPLICAS_MAX}; \
         take the others away (docs/clusters.md)",
        distinct.len(),
        Vec::from_iter(distinct).join(", ")
    ))
    .coded(codes::LEDGER_REPLICAS_TOO_MANY))
}

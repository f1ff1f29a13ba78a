//! Asks, while connected to a primary, if a majority of the sentinels still names it. A primary that was cut off together with a replica and
//! the clients could prove its answers by that replica, long after the others have chosen another primary; all of that would be dropped when
//! they meet again.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use paceline_core::error::codes;
use paceline_core::{Error, Result};
use tokio::time::Instant;

/// The interval from one question to the next.
const ASK_INTERVAL: Duration = Duration::from_secs(1);
/// The longest that a primary is used without a majority's word, reckoned from the question. Sentinels that have lost a primary need longer
/// to replace it: `down-after-milliseconds` in infra/redis/sentinel.conf, and their vote.
const WORD_MAX: Duration = Duration::from_secs(3);

/// The time at which a majority was last asked that named this primary.
pub(super) struct Word(Mutex<Instant>);

impl Word {
    pub(super) fn asked_at(at: Instant) -> Self {
        Self(Mutex::new(at))
    }

    /// An error when the word is too old. Asked after every answer: a process that was frozen has an old word when it wakes.
    pub(super) fn check(&self, server: &str) -> Result<()> {
        let age = self.last().elapsed();
        if age <= WORD_MAX {
            return Ok(());
        }
        Err(Error::unavailable(format!(
            "redis at {server} is left: no majority of the sentinels has named it the primary for {:.1} s",
            age.as_secs_f64()
        ))
        .coded(codes::SENTINELS_NO_MAJORITY))
    }

    /// Ends with the reason for which the primary at `server` is of no use any more. `ask` answers the primary that a majority names.
    pub(super) async fn watch<F>(&self, server: &str, ask: impl Fn() -> F) -> Error
    where
        F: Future<Output = Result<String>>,
    {
        loop {
            tokio::time::sleep(ASK_INTERVAL).await;
            let asked = Instant::now();
            match ask().await {
                Ok(named) if named == server => *self.last() = asked,
                Ok(named) => {
                    return Error::unavailable(format!(
                        "redis at {server} is left: the sentinels have made {named} the primary"
                    ))
                    .coded(codes::LEDGER_PRIMARY_CHANGED);
                }
                Err(error) => {
                    if let Err(too_old) = self.check(server) {
                        return Error::unavailable(format!("{}; {}", too_old.message, error.message))
                            .coded(codes::SENTINELS_NO_MAJORITY);
                    }
                }
            }
        }
    }

    fn last(&self) -> MutexGuard<'_, Instant> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_primary_is_left_when_a_majority_names_another() {
        let (begun, asked) = (Instant::now(), Cell::new(0));
        let word = Word::asked_at(begun);
        let ask = || {
            asked.set(asked.get() + 1);
            std::future::ready(Ok(if asked.get() < 10 { "old:1" } else { "new:1" }.to_owned()))
        };
        let error = word.watch("old:1", ask).await;
        assert!(error.message.contains("made new:1 the primary"), "{error}");
        assert_eq!((asked.get(), begun.elapsed()), (10, ASK_INTERVAL * 10));
    }

    #[tokio::test(start_paused = true)]
    async fn a_primary_is_left_when_no_majority_has_answered_for_some_seconds_and_not_before() {
        let begun = Instant::now();
        let word = Word::asked_at(begun);
        let error = word.watch("old:1", || std::future::ready(Err(Error::unavailable("sentinel s:1 is away")))).await;
        assert!(error.message.contains("no majority") && error.message.contains("s:1"), "{error}");
        assert!(begun.elapsed() > WORD_MAX && begun.elapsed() <= WORD_MAX + ASK_INTERVAL * 2, "{:?}", begun.elapsed());
        assert!(word.check("old:1").is_err());

        let misses = Cell::new(0);
        let word = Word::asked_at(Instant::now());
        let now_and_then = || {
            misses.set(misses.get() + 1);
            std::future::ready(if misses.get() % 2 == 1 && misses.get() < 20 {
                Err(Error::unavailable("away"))
            } else {
                Ok(if misses.get() < 20 { "old:1" } else { "new:1" }.to_owned())
            })
        };
        let error = word.watch("old:1", now_and_then).await;
        assert!(
            error.message.contains("new:1"),
            "a majority that misses one question is believed the next time: {error}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_process_that_was_frozen_believes_nothing_that_it_was_told_before() {
        let word = Word::asked_at(Instant::now());
        assert!(word.check("old:1").is_ok());
        tokio::time::advance(WORD_MAX + ASK_INTERVAL).await;
        assert!(word.check("old:1").unwrap_err().message.contains("old:1 is left"));
    }
}

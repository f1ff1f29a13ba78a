//! Keeps one epoch (a connection and all that was built on it) and replaces the epoch whole when it has failed.
//!
//! Nothing reconnects in the background: the next caller does, so an epoch is always built with what that caller needs. Callers
//! that come during an attempt share the attempt and its outcome, and the pauses between attempts grow.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use paceline_core::backoff::Backoff;
use paceline_core::clock::{SharedClock, nanos};
use paceline_core::{Error, Result};
use tokio::sync::{Mutex, MutexGuard};

const BACKOFF_MIN: Duration = Duration::from_millis(100);
const BACKOFF_MAX: Duration = Duration::from_secs(1);

/// Something that fails once and for all.
pub trait Epoch {
    fn failure(&self) -> Option<Error>;
}

pub struct Link<T> {
    clock: SharedClock,
    /// Attempts that have ended; a caller that waited sees by it that an attempt was made meanwhile.
    attempts: AtomicU64,
    /// Attempts that succeeded.
    opened: AtomicU64,
    state: Mutex<State<T>>,
}

struct State<T> {
    current: Option<Arc<T>>,
    backoff: Backoff,
    not_before_ns: u64,
    last: Option<Error>,
}

impl<T: Epoch> Link<T> {
    pub fn new(clock: SharedClock) -> Self {
        let backoff = Backoff::new(BACKOFF_MIN, BACKOFF_MAX);
        let state = State { current: None, backoff, not_before_ns: 0, last: None };
        Self { clock, attempts: AtomicU64::new(0), opened: AtomicU64::new(0), state: Mutex::new(state) }
    }

    /// The epoch that works, or a new one made by `open`. An error is that of the attempt that was just made.
    pub async fn get(&self, open: impl AsyncFnOnce() -> Result<T>) -> Result<Arc<T>> {
        let attempts_before = self.attempts.load(Ordering::Acquire);
        let mut state = self.state.lock().await;
        if let Some(current) = state.current.as_ref().filter(|current| current.failure().is_none()) {
            return Ok(current.clone());
        }
        state.current = None;
        if self.attempts.load(Ordering::Acquire) != attempts_before
            && let Some(error) = state.last.clone()
        {
            return Err(error);
        }
        let wait_ns = state.not_before_ns.saturating_sub(self.clock.monotonic_ns());
        if wait_ns > 0 {
            tokio::time::sleep(Duration::from_nanos(wait_ns)).await;
        }
        let mut attempt = Attempt { link: self, state, is_settled: false };
        let opened = open().await.map(Arc::new);
        attempt.settle(&opened);
        opened
    }

    /// The epoch that works, if there is one and nobody makes another just now.
    pub fn current(&self) -> Option<Arc<T>> {
        let state = self.state.try_lock().ok()?;
        state.current.clone().filter(|current| current.failure().is_none())
    }

    /// The number of epochs beyond the first.
    pub fn rebuilt(&self) -> u64 {
        self.opened.load(Ordering::Relaxed).saturating_sub(1)
    }
}

/// One attempt to open an epoch. A caller that gives up waiting makes it a failure like any other, for those who wait too.
struct Attempt<'a, T: Epoch> {
    link: &'a Link<T>,
    state: MutexGuard<'a, State<T>>,
    is_settled: bool,
}

impl<T: Epoch> Attempt<'_, T> {
    fn settle(&mut self, opened: &Result<Arc<T>>) {
        self.is_settled = true;
        self.link.attempts.fetch_add(1, Ordering::AcqRel);
        if opened.is_ok() {
            self.link.opened.fetch_add(1, Ordering::Relaxed);
        }
        self.state.settle(opened, self.link.clock.monotonic_ns());
    }
}

impl<T: Epoch> Drop for Attempt<'_, T> {
    fn drop(&mut self) {
        if !self.is_settled {
            self.settle(&Err(Error::unavailable("the attempt to connect was given up")));
        }
    }
}

impl<T> State<T> {
    fn settle(&mut self, opened: &Result<Arc<T>>, now_ns: u64) {
        self.current = opened.as_ref().ok().cloned();
        self.last = opened.as_ref().err().cloned();
        if opened.is_ok() {
            self.backoff.reset();
        }
        // Also after a success: an epoch that dies at once is not rebuilt in a tight loop.
        self.not_before_ns = now_ns + nanos(self.backoff.next(1.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use paceline_core::clock::SystemClock;
    use std::sync::atomic::AtomicBool;

    struct Fragile(AtomicBool);

    impl Epoch for Fragile {
        fn failure(&self) -> Option<Error> {
            self.0.load(Ordering::Relaxed).then(|| Error::unavailable("broken"))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_epoch_is_kept_until_it_fails() {
        let link = Link::new(SystemClock::shared());
        let open = async || Ok(Fragile(AtomicBool::new(false)));
        let first = link.get(open).await.unwrap();
        assert!(Arc::ptr_eq(&first, &link.get(open).await.unwrap()));
        assert_eq!(link.rebuilt(), 0, "the first epoch replaces none");
        first.0.store(true, Ordering::Relaxed);
        assert!(link.get(async || Err(Error::unavailable("away"))).await.is_err());
        assert_eq!(link.rebuilt(), 0, "a failed attempt makes none");
        assert!(!Arc::ptr_eq(&first, &link.get(open).await.unwrap()));
        assert_eq!(link.rebuilt(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_wait_share_one_failed_attempt_and_attempts_keep_their_distance() {
        let link = Link::<Fragile>::new(SystemClock::shared());
        let opened = AtomicU64::new(0);
        let open = async || {
            opened.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(1)).await;
            Err(Error::unavailable("away"))
        };
        let all = futures::future::join_all((0..64).map(|_| link.get(open))).await;
        assert!(all.iter().all(Result::is_err));
        assert_eq!(opened.load(Ordering::Relaxed), 1);

        let start = tokio::time::Instant::now();
        for _ in 0..10 {
            assert!(link.get(open).await.is_err());
        }
        assert!(start.elapsed() > Duration::from_secs(7), "{:?}", start.elapsed());
    }
}

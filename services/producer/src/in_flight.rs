//! Counts the publishes that wait for their confirms, bounds their bytes, and notes when the broker last confirmed anything.
//!
//! A broker that confirms steadily is well, however much waits. A broker that confirms nothing at all is not well, nor is a broker that
//! refuses every publish.

use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use paceline_core::error::codes;
use paceline_core::{Error, Result};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

/// The longest time in which something waits and nothing at all is confirmed, before the producer says that it cannot do its work.
const CONFIRM_PATIENCE: Duration = Duration::from_secs(2);
/// A refusal counts for so long without another try: whoever publishes tries again more often than that. The time in which a try waits
/// for its end does not count.
const REFUSAL_FRESH: Duration = Duration::from_secs(10);
/// The most bytes of messages that wait at once, whoever asked for them: the rest is not encoded yet.
const BYTES_MAX: usize = 64 * 1024 * 1024;

pub struct InFlight {
    room: Semaphore,
    state: Mutex<State>,
}

struct State {
    waiting: u64,
    /// Something has waited since then, and nothing was confirmed.
    since: Instant,
    refusals: Option<Refusals>,
}

/// The publishes that failed since the last success.
struct Refusals {
    first: Instant,
    last: Instant,
    why: String,
}

/// One publish; ends when it is dropped, whatever became of it.
pub struct PendingPublish<'a> {
    all: &'a InFlight,
    begun: Instant,
    _room: SemaphorePermit<'a>,
}

impl InFlight {
    pub fn new() -> Self {
        Self {
            room: Semaphore::new(BYTES_MAX),
            state: Mutex::new(State { waiting: 0, since: Instant::now(), refusals: None }),
        }
    }

    /// Waits, in turn, until there is room for `bytes`.
    pub async fn begin(&self, bytes: usize) -> PendingPublish<'_> {
        // A publish that is larger than all the room gets all of it.
        let bytes = u32::try_from(bytes.min(BYTES_MAX)).expect("the room is smaller");
        let room = self.room.acquire_many(bytes).await.expect("the room is never closed");
        let (mut state, now) = (self.lock(), Instant::now());
        if state.waiting == 0 {
            state.since = now;
        }
        state.waiting += 1;
        PendingPublish { all: self, begun: now, _room: room }
    }

    /// Bytes of messages in flight.
    pub fn bytes(&self) -> usize {
        BYTES_MAX.saturating_sub(self.room.available_permits())
    }

    pub fn check(&self) -> Result<()> {
        let state = self.lock();
        let stuck = state.since.elapsed();
        if state.waiting == 0 || stuck < CONFIRM_PATIENCE {
            return Ok(());
        }
        Err(Error::unavailable(format!(
            "the broker has confirmed nothing for {} ms while {} publishes wait; does it block publishers (memory, disk)?",
            stuck.as_millis(),
            state.waiting
        ))
        .coded(codes::PUBLISHES_STUCK))
    }

    /// An error if publishes have failed for a while, and none came through: the broker refuses them, or its connection for them.
    pub fn check_refusals(&self) -> Result<()> {
        let state = self.lock();
        let tried = if state.waiting > 0 { state.since } else { Instant::now() };
        match &state.refusals {
            Some(refusals @ Refusals { first, last, why })
                if refusals.is_fresh(tried) && last.duration_since(*first) >= CONFIRM_PATIENCE =>
            {
                Err(Error::unavailable(format!("no publish has come through for a while, the last one failed: {why}"))
                    .coded(codes::PUBLISHES_STUCK))
            }
            _ => Ok(()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no code panics while it holds the publishes")
    }
}

impl Refusals {
    /// True if a try that began then follows them.
    fn is_fresh(&self, begun: Instant) -> bool {
        begun.saturating_duration_since(self.last) < REFUSAL_FRESH
    }
}

impl PendingPublish<'_> {
    /// The broker has answered for this publish, so the broker works; `refusal` is the reason if it does not want the publish.
    pub fn answered(self, refusal: Option<&str>) {
        self.all.lock().since = Instant::now();
        match refusal {
            Some(why) => self.failed(why),
            None => self.all.lock().refusals = None,
        }
    }

    /// The publish did not come through.
    pub fn failed(self, why: &str) {
        let (mut state, now) = (self.all.lock(), Instant::now());
        let recent = state.refusals.as_ref().filter(|refusals| refusals.is_fresh(self.begun));
        let first = recent.map_or(now, |refusals| refusals.first);
        state.refusals = Some(Refusals { first, last: now, why: why.to_owned() });
    }
}

impl Drop for PendingPublish<'_> {
    fn drop(&mut self) {
        self.all.lock().waiting -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn only_a_stretch_without_any_confirm_counts() {
        let all = InFlight::new();
        tokio::time::advance(CONFIRM_PATIENCE * 2).await;
        let old = all.begin(1).await;
        all.check().expect("nothing waited before");
        for _ in 0..4 {
            let young = all.begin(1).await;
            tokio::time::advance(CONFIRM_PATIENCE / 2).await;
            young.answered(None);
            all.check().unwrap();
        }
        tokio::time::advance(CONFIRM_PATIENCE).await;
        assert!(all.check().unwrap_err().message.contains("2000 ms"));
        drop(all.begin(1).await);
        all.check().expect_err("one that was given up shows nothing");
        old.answered(None);
        all.check().unwrap();
        assert_eq!(all.lock().waiting, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn refusals_count_once_they_last_and_until_one_publish_comes_through() {
        let all = InFlight::new();
        all.begin(1).await.failed("not allowed");
        all.check_refusals().expect("one alone may be a connection that is made anew");
        tokio::time::advance(CONFIRM_PATIENCE).await;
        all.begin(1).await.answered(Some("full"));
        assert!(all.check_refusals().unwrap_err().message.contains("full"));
        all.check().expect("the broker does answer");
        all.begin(1).await.answered(None);
        all.check_refusals().unwrap();
        all.begin(1).await.failed("not allowed");
        tokio::time::advance(CONFIRM_PATIENCE).await;
        all.begin(1).await.failed("not allowed");
        tokio::time::advance(REFUSAL_FRESH).await;
        all.check_refusals().expect("nobody has tried for long");
        all.begin(1).await.failed("not allowed");
        all.check_refusals().expect("one alone again");
    }

    #[tokio::test(start_paused = true)]
    async fn a_publish_that_takes_long_to_fail_counts_too() {
        let all = InFlight::new();
        for _ in 0..2 {
            all.check_refusals().unwrap();
            let publish = all.begin(1).await;
            tokio::time::advance(REFUSAL_FRESH).await;
            publish.failed("not confirmed");
        }
        all.check_refusals().unwrap_err();
        let publish = all.begin(1).await;
        tokio::time::advance(REFUSAL_FRESH).await;
        all.check_refusals().expect_err("the third is on its way");
        publish.answered(None);
        all.check_refusals().unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn what_has_no_room_waits_and_does_not_count() {
        let all = InFlight::new();
        let whole = all.begin(BYTES_MAX * 2).await;
        let waits = tokio::time::timeout(CONFIRM_PATIENCE / 2, all.begin(1)).await;
        assert!(waits.is_err() && all.lock().waiting == 1);
        whole.answered(None);
        all.begin(1).await.answered(None);
    }
}

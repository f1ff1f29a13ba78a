//! Pauses between tries of one thing: each twice as long as the one before, up to a longest, and with jitter, so that callers
//! that failed together do not come back together. The one helper for that; [`crate::retry`] is the policy of a job.
//!
//! [`Backoff::next`] is pure: the caller draws the jitter and keeps the time. [`Backoff::wait`] draws and sleeps.

use std::time::Duration;

/// The next pause. Begin with a new one for each thing that is tried.
#[derive(Debug, Clone)]
pub struct Backoff {
    next: Duration,
    min: Duration,
    max: Duration,
}

impl Backoff {
    pub fn new(min: Duration, max: Duration) -> Self {
        Self { next: min, min, max }
    }

    /// The next pause, with a jitter of its own, for somebody who says it before he sleeps.
    pub fn draw(&mut self) -> Duration {
        self.next(fastrand::f64())
    }

    /// Sleeps; the next time twice as long.
    pub async fn wait(&mut self) {
        self.wait_at_least(Duration::ZERO).await;
    }

    /// The same for somebody who asked for a pause; at most the maximum all the same.
    pub async fn wait_at_least(&mut self, asked: Duration) {
        tokio::time::sleep(self.next_at_least(asked, fastrand::f64())).await;
    }

    /// The pause before the next try: all of it for a `jitter` of 1.0, and half of it for 0.0.
    pub fn next(&mut self, jitter: f64) -> Duration {
        self.next_at_least(Duration::ZERO, jitter)
    }

    /// The next pause without jitter, for messages; nothing is taken.
    pub fn peek(&self) -> Duration {
        self.next
    }

    /// A success: the next failure begins with the shortest pause.
    pub fn reset(&mut self) {
        self.next = self.min;
    }

    fn next_at_least(&mut self, asked: Duration, jitter: f64) -> Duration {
        let pause = asked.max(self.next).min(self.max);
        self.next = (self.next * 2).min(self.max);
        pause.mul_f64(0.5 + 0.5 * jitter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIN: Duration = Duration::from_millis(100);
    const MAX: Duration = Duration::from_millis(300);

    #[test]
    fn pauses_double_up_to_the_maximum_and_begin_anew() {
        let mut backoff = Backoff::new(MIN, MAX);
        assert_eq!([(); 4].map(|()| backoff.next(1.0).as_millis()), [100, 200, 300, 300]);
        assert_eq!(backoff.next(0.0), MAX / 2);
        backoff.reset();
        assert_eq!(backoff.peek(), MIN);
    }

    #[test]
    fn a_pause_that_is_asked_for_is_kept_within_the_maximum() {
        let mut backoff = Backoff::new(MIN, MAX);
        assert_eq!(backoff.next_at_least(MIN * 2, 1.0), MIN * 2);
        assert_eq!(backoff.next_at_least(MAX * 2, 1.0), MAX);
    }

    #[tokio::test]
    async fn a_wait_is_a_pause_with_jitter() {
        let mut backoff = Backoff::new(Duration::from_millis(2), Duration::from_millis(2));
        let begun = tokio::time::Instant::now();
        backoff.wait().await;
        assert!(begun.elapsed() >= Duration::from_millis(1));
    }
}

//! Pauses between tries of the same thing: each twice as long as the one before, with jitter, so that callers that
//! failed together do not come back together.

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

    /// Sleeps; the next time twice as long.
    pub async fn wait(&mut self) {
        self.wait_at_least(Duration::ZERO).await;
    }

    /// Sleeps at least as long as the other side asked for, and at most the maximum; the next time twice as long.
    pub async fn wait_at_least(&mut self, asked: Duration) {
        let pause = asked.max(self.next).min(self.max);
        tokio::time::sleep(pause.mul_f64(0.5 + 0.5 * fastrand::f64())).await;
        self.next = (self.next * 2).min(self.max);
    }

    /// Notes a success: the next failure begins anew.
    pub fn reset(&mut self) {
        self.next = self.min;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn pauses_double_up_to_the_maximum_and_begin_anew() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_millis(300));
        for full_ms in [100, 200, 300, 300] {
            let begun = tokio::time::Instant::now();
            backoff.wait().await;
            let waited = begun.elapsed().as_millis();
            assert!((full_ms / 2..=full_ms + 1).contains(&waited), "{waited} of {full_ms} ms");
        }
        backoff.reset();
        assert_eq!(backoff.next, Duration::from_millis(100));
    }
}

//! Delays between attempts: exponential with jitter, rounded up to a short ladder, since each step is a queue of its own.

use std::time::Duration;

/// The delays a retried job may wait, in seconds. A broker keeps one delay queue a step.
pub const LADDER_S: [u64; 8] = [1, 2, 5, 15, 60, 300, 900, 3600];

/// The ladder's step at or above `delay`; the last step for anything longer.
pub fn round_up(delay: Duration) -> Duration {
    let step = LADDER_S.into_iter().map(Duration::from_secs).find(|step| *step >= delay);
    step.unwrap_or(Duration::from_secs(LADDER_S[LADDER_S.len() - 1]))
}

/// Exponential backoff with jitter: `base · 2^(attempt−1)`, times a factor between 0.5 and 1.0.
///
/// `jitter` is 0.0 to 1.0; the caller draws it, so the function stays pure.
pub fn backoff(base: Duration, attempt: u32, jitter: f64) -> Duration {
    let exponent = attempt.saturating_sub(1).min(20);
    let full = base.saturating_mul(1 << exponent).min(Duration::from_secs(LADDER_S[LADDER_S.len() - 1]));
    full.mul_f64(0.5 + 0.5 * jitter.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_and_end_on_the_ladder() {
        let base = Duration::from_secs(1);
        let delays: Vec<u64> = (1..=14).map(|attempt| round_up(backoff(base, attempt, 1.0)).as_secs()).collect();
        assert_eq!(delays, [1, 2, 5, 15, 60, 60, 300, 300, 300, 900, 3600, 3600, 3600, 3600]);
        assert_eq!(round_up(Duration::ZERO).as_secs(), 1);
        assert_eq!(backoff(base, 3, 0.0), Duration::from_secs(2));
    }
}

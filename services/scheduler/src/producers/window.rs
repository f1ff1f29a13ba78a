//! Bounds the messages in flight to one producer: additive increase, multiplicative decrease (AIMD, as in TCP), by the time
//! that confirms take. A saturated broker so has work for about a second, at any speed, and is not taken for a broken one.
//!
//! Pure: the time is handed in. [`super::pooled`] has one for each producer. The unit is bytes of messages, which bound the producer's
//! memory too. A range that fits only in part may start, so that no large range waits for ever behind small ones.

use std::time::Duration;

use tokio::time::Instant;

/// Never less than this: one full range of small jobs at a time.
const BYTES_MIN: u64 = 256 * 1024;
const BYTES_START: u64 = 4 * 1024 * 1024;
/// Never more than a producer holds in memory at once.
const BYTES_MAX: u64 = 64 * 1024 * 1024;
/// The growth of the window while one full window is confirmed in time.
const STEP_BYTES: u64 = 512 * 1024;
/// A confirm that takes longer says that too much is in flight.
const LATE: Duration = Duration::from_secs(1);
/// A confirm that takes less says that there is room for more. Between the two the window stays.
const SOON: Duration = Duration::from_millis(500);

#[derive(Debug)]
pub struct RangeWindow {
    limit: u64,
    in_flight: u64,
    /// When the window shrank last: messages that were sent before say nothing about the smaller window.
    shrank_at: Option<Instant>,
}

impl RangeWindow {
    pub fn new() -> Self {
        Self { limit: BYTES_START, in_flight: 0, shrank_at: None }
    }

    pub fn has_room(&self) -> bool {
        self.in_flight < self.limit
    }

    pub fn begin(&mut self, bytes: u64) {
        self.in_flight += bytes;
    }

    /// `bytes` that were begun have ended, whatever became of them.
    pub fn end(&mut self, bytes: u64) {
        self.in_flight -= bytes;
    }

    /// Before their end: `bytes` that were sent at `begun` are answered. Bytes that were not confirmed count only if they took too long.
    pub fn measured(&mut self, bytes: u64, begun: Instant, now: Instant, is_confirmed: bool) {
        let took = now.saturating_duration_since(begun);
        if took >= LATE {
            if self.shrank_at.is_none_or(|at| begun >= at) {
                self.limit = (self.limit / 2).max(BYTES_MIN);
                self.shrank_at = Some(now);
            }
        } else if is_confirmed && took <= SOON && self.in_flight >= self.limit / 2 {
            // A window that is hardly used says nothing about a larger one.
            let share = u128::from(STEP_BYTES) * u128::from(bytes) / u128::from(self.limit);
            let step = u64::try_from(share).unwrap_or(STEP_BYTES).min(STEP_BYTES);
            self.limit = (self.limit + step).min(BYTES_MAX);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RANGE: u64 = 600_000;

    /// A broker that confirms so many bytes a second, one after the other, and a sender that always has more. How long the last took.
    struct Line {
        window: RangeWindow,
        now: Instant,
        sent: std::collections::VecDeque<Instant>,
    }

    impl Line {
        fn new() -> Self {
            Self { window: RangeWindow::new(), now: Instant::now(), sent: Default::default() }
        }

        fn confirm(&mut self, bytes_per_s: u64) -> Duration {
            while self.window.has_room() {
                self.window.begin(RANGE);
                self.sent.push_back(self.now);
            }
            self.now += Duration::from_secs_f64(RANGE as f64 / bytes_per_s as f64);
            let begun = self.sent.pop_front().expect("at least one range is always on its way");
            self.window.measured(RANGE, begun, self.now, true);
            self.window.end(RANGE);
            self.now - begun
        }

        fn confirms(&mut self, count: u32, bytes_per_s: u64) -> Duration {
            (0..count).map(|_| self.confirm(bytes_per_s)).last().unwrap_or_default()
        }
    }

    #[test]
    fn shrinks_to_about_a_second_of_what_the_broker_can_do_and_grows_back() {
        let mut line = Line::new();
        line.confirms(10_000, 200_000_000);
        assert_eq!(line.window.limit, BYTES_MAX, "a fast broker gets all that may be");
        for bytes_per_s in [10_000_000, 1_000_000] {
            line.confirms(200, bytes_per_s);
            let took = (0..100).map(|_| line.confirm(bytes_per_s)).max().unwrap();
            assert!(took < LATE * 2, "{took:?} at {bytes_per_s} bytes/s");
            assert!(line.window.limit >= bytes_per_s / 4, "and the broker is never idle: {:?}", line.window);
        }
        line.confirms(10_000, 200_000_000);
        assert_eq!(line.window.limit, BYTES_MAX);
    }

    #[test]
    fn one_range_at_a_time_is_the_least() {
        let mut line = Line::new();
        line.confirms(50, 10_000);
        assert_eq!((line.window.limit, line.sent.len()), (BYTES_MIN, 0));
        assert!(line.window.has_room());
    }

    #[test]
    fn one_slow_stretch_shrinks_it_once_and_little_use_does_not_let_it_grow() {
        let (mut window, begun) = (RangeWindow::new(), Instant::now());
        let late = begun + LATE;
        (0..5).for_each(|_| window.begin(RANGE));
        for _ in 0..5 {
            window.measured(RANGE, begun, late, true);
            window.end(RANGE);
        }
        assert_eq!(window.limit, BYTES_START / 2);
        window.begin(1);
        window.measured(1, late, late, true);
        assert_eq!(window.limit, BYTES_START / 2);
    }
}

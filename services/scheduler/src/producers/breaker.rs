//! A circuit breaker, as a value: closed, open for a cool-down, then half-open for exactly one call that decides.
//!
//! Pure: the time and the chance are handed in. [`super::pooled`] has one for each producer.

use std::time::Duration;

use paceline_core::backoff::Backoff;
use tokio::time::Instant;

/// Failures in a row that open a closed breaker.
const FAILURES_MAX: u32 = 3;
/// The first cool-down. Each that follows without a success between is twice as long, up to the longest.
const COOL_DOWN_MIN: Duration = Duration::from_millis(100);
const COOL_DOWN_MAX: Duration = Duration::from_millis(1_500);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    Closed,
    /// No call until then.
    Open(Instant),
    /// One call is in flight and decides.
    HalfOpen,
}

/// Leave to make one call; the call's outcome must be told to the breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pass {
    Normal,
    /// The call that decides. Whoever drops this pass without an outcome says so by [`Breaker::abandoned`].
    Probe,
}

#[derive(Debug)]
pub struct Breaker {
    phase: Phase,
    failures: u32,
    cool_down: Backoff,
}

impl Breaker {
    pub fn new() -> Self {
        Self { phase: Phase::Closed, failures: 0, cool_down: Backoff::new(COOL_DOWN_MIN, COOL_DOWN_MAX) }
    }

    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Leave for a call now, or none.
    pub fn admit(&mut self, now: Instant) -> Option<Pass> {
        match self.phase {
            Phase::Closed => Some(Pass::Normal),
            Phase::Open(until) if now >= until => {
                self.phase = Phase::HalfOpen;
                Some(Pass::Probe)
            }
            Phase::Open(_) | Phase::HalfOpen => None,
        }
    }

    /// A call that began before the breaker opened says nothing about now: only the probe closes it.
    pub fn succeeded(&mut self, pass: Pass) {
        if pass == Pass::Probe || self.phase == Phase::Closed {
            *self = Self::new();
        }
    }

    pub fn failed(&mut self, pass: Pass, now: Instant, chance: f64) {
        if pass == Pass::Probe {
            return self.open(now, chance);
        }
        if self.phase == Phase::Closed {
            self.failures += 1;
            if self.failures >= FAILURES_MAX {
                self.open(now, chance);
            }
        }
    }

    /// The producer is known to be away, and needs no more failures. Changes nothing while a cool-down or a probe goes on.
    pub fn trip(&mut self, now: Instant, chance: f64) {
        if self.phase == Phase::Closed {
            self.open(now, chance);
        }
    }

    /// The probe ended without an outcome: the next call may be one at once.
    pub fn abandoned(&mut self, now: Instant) {
        if self.phase == Phase::HalfOpen {
            self.phase = Phase::Open(now);
        }
    }

    /// `chance` of 0 to 1 shortens the cool-down by up to a half, so that not everybody comes back at once.
    fn open(&mut self, now: Instant, chance: f64) {
        self.phase = Phase::Open(now + self.cool_down.next(1.0 - chance));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fail(breaker: &mut Breaker, now: Instant) {
        let pass = breaker.admit(now).expect("a call is admitted");
        breaker.failed(pass, now, 0.0);
    }

    fn opened(now: Instant) -> Breaker {
        let mut breaker = Breaker::new();
        (0..FAILURES_MAX).for_each(|_| fail(&mut breaker, now));
        breaker
    }

    #[test]
    fn only_failures_in_a_row_open_it() {
        let (mut breaker, now) = (Breaker::new(), Instant::now());
        for _ in 0..10 {
            (1..FAILURES_MAX).for_each(|_| fail(&mut breaker, now));
            breaker.succeeded(Pass::Normal);
        }
        assert_eq!(breaker.phase(), Phase::Closed);
        (0..FAILURES_MAX).for_each(|_| fail(&mut breaker, now));
        assert_eq!(breaker.phase(), Phase::Open(now + COOL_DOWN_MIN));
        assert_eq!(breaker.admit(now), None);
    }

    #[test]
    fn after_the_cool_down_exactly_one_call_decides() {
        let now = Instant::now();
        let (mut breaker, later) = (opened(now), now + COOL_DOWN_MIN);
        assert_eq!(breaker.admit(later), Some(Pass::Probe));
        assert_eq!(breaker.admit(later), None, "only one");
        breaker.succeeded(Pass::Normal);
        assert_eq!(breaker.phase(), Phase::HalfOpen, "a late answer of before does not decide");
        breaker.succeeded(Pass::Probe);
        assert_eq!(breaker.admit(later), Some(Pass::Normal));
    }

    #[test]
    fn cool_downs_grow_to_the_longest_with_jitter_and_begin_anew_after_a_success() {
        let mut now = Instant::now();
        let mut breaker = opened(now);
        for expected_ms in [200, 400, 800, 1_500, 1_500] {
            now += COOL_DOWN_MAX;
            let pass = breaker.admit(now).expect("half-open");
            breaker.failed(pass, now, 0.0);
            assert_eq!(breaker.phase(), Phase::Open(now + Duration::from_millis(expected_ms)));
        }
        now += COOL_DOWN_MAX;
        let pass = breaker.admit(now).expect("half-open");
        breaker.failed(pass, now, 1.0);
        assert_eq!(breaker.phase(), Phase::Open(now + COOL_DOWN_MAX / 2), "the most jitter halves it");
        now += COOL_DOWN_MAX;
        let pass = breaker.admit(now).expect("half-open");
        breaker.succeeded(pass);
        breaker.trip(now, 0.0);
        assert_eq!(breaker.phase(), Phase::Open(now + COOL_DOWN_MIN));
    }

    #[test]
    fn a_probe_that_is_abandoned_makes_room_for_another() {
        let now = Instant::now();
        let (mut breaker, later) = (opened(now), now + COOL_DOWN_MIN);
        assert_eq!(breaker.admit(later), Some(Pass::Probe));
        breaker.abandoned(later);
        assert_eq!(breaker.admit(later), Some(Pass::Probe));
    }

    #[test]
    fn failures_of_calls_from_before_do_not_lengthen_a_cool_down() {
        let now = Instant::now();
        let mut breaker = opened(now);
        let phase = breaker.phase();
        breaker.failed(Pass::Normal, now + COOL_DOWN_MIN, 0.0);
        breaker.trip(now + COOL_DOWN_MIN, 0.0);
        assert_eq!(breaker.phase(), phase);
    }
}

//! The choice of the traces that are recorded: a pure function of the id, so that every role that meets a job makes the same one.

use super::ids::TraceId;

/// Traces a second that all runs together record, unless told otherwise.
pub const TRACES_PER_SECOND_DEFAULT: f64 = 10.0;
/// Random bits that the threshold is compared with.
const RANDOM_BITS: u32 = 56;
const RANDOM_MAX: u64 = 1 << RANDOM_BITS;

/// The traces that are recorded from their beginning. A higher share takes all that a lower one takes, so a range that is published again
/// at another rate continues the traces that were begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sampling {
    /// The lowest of 2^56 equally likely values that is sampled; all above it are sampled too.
    threshold: u64,
}

impl Sampling {
    pub const NONE: Self = Self { threshold: RANDOM_MAX };
    pub const ALL: Self = Self { threshold: 0 };

    /// A share of all traces, between 0 and 1.
    pub fn share(share: f64) -> Self {
        if share.is_nan() || share <= 0.0 {
            return Self::NONE;
        }
        let taken = (share.min(1.0) * RANDOM_MAX as f64) as u64;
        Self { threshold: RANDOM_MAX - taken }
    }

    /// Such a share that `runs` runs like this one, of `jobs_per_second`, record `traces_per_second` together.
    pub fn bounded(traces_per_second: f64, jobs_per_second: f64, runs: usize) -> Self {
        Self::share(traces_per_second / (jobs_per_second * runs.max(1) as f64))
    }

    pub fn takes(self, trace: TraceId) -> bool {
        (trace.0 as u64) % RANDOM_MAX >= self.threshold
    }

    /// The number of 2^56 values that are sampled, for the wire.
    pub fn taken(self) -> u64 {
        RANDOM_MAX - self.threshold
    }

    pub fn from_taken(taken: u64) -> Self {
        Self { threshold: RANDOM_MAX - taken.min(RANDOM_MAX) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn traces(count: u64) -> impl Iterator<Item = TraceId> {
        (0..count).map(|seq| TraceId::of_job(&format!("01k5-{seq}")))
    }

    #[test]
    fn a_share_is_taken_and_a_higher_one_takes_the_same_and_more() {
        let (few, many) = (Sampling::share(0.01), Sampling::share(0.3));
        let taken = |sampling: Sampling| traces(100_000).filter(|trace| sampling.takes(*trace)).count();
        assert!((900..1_100).contains(&taken(few)), "{}", taken(few));
        assert!((29_000..31_000).contains(&taken(many)), "{}", taken(many));
        assert!(traces(10_000).all(|trace| !few.takes(trace) || many.takes(trace)));
        assert_eq!((taken(Sampling::NONE), taken(Sampling::ALL)), (0, 100_000));
        assert_eq!(Sampling::from_taken(few.taken()), few);
    }

    #[test]
    fn runs_share_the_bound_and_a_slow_run_is_taken_whole() {
        assert_eq!(Sampling::bounded(10.0, 5.0, 1), Sampling::ALL);
        assert_eq!(Sampling::bounded(10.0, 5.0, 4), Sampling::share(0.5));
        assert_eq!(Sampling::bounded(10.0, 1_000.0, 0), Sampling::share(0.01));
        for nothing in [Sampling::bounded(0.0, 5.0, 1), Sampling::share(f64::NAN), Sampling::share(-1.0)] {
            assert_eq!(nothing, Sampling::NONE);
        }
        assert_eq!(Sampling::bounded(10.0, 0.0, 1), Sampling::ALL);
    }
}

//! The trace of a job: a pure function of its id, so nobody has to store or carry it.
//!
//! A range that is published twice, a job that is healed and one that is tried again all continue the same trace. The id is XXH3-128 of
//! the jobId (`printf 01k…-17 | xxh128sum` prints it); whether the trace is recorded is decided by the id and the run's rate, by the
//! rule of OpenTelemetry's consistent probability sampling: the last 56 bits, at or above a threshold.

pub mod span;

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use xxhash_rust::xxh3::{xxh3_64_with_seed, xxh3_128};

/// Traces a second that all runs together record, unless told otherwise.
pub const TRACES_PER_SECOND_DEFAULT: f64 = 10.0;
/// Random bits that the threshold is compared with.
const RANDOM_BITS: u32 = 56;
const RANDOM_MAX: u64 = 1 << RANDOM_BITS;
/// The length of a W3C `traceparent` of version 00.
const TRACEPARENT_BYTES: usize = 55;
/// The only flag that is used: the trace is recorded.
const SAMPLED: u8 = 1;

/// 16 bytes, as in W3C's trace context; never zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TraceId(pub u128);

/// 8 bytes; never zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SpanId(pub u64);

impl TraceId {
    /// The trace of a job.
    pub fn of_job(job_id: &str) -> Self {
        Self(xxh3_128(job_id.as_bytes()).max(1))
    }

    /// Reads 32 lower-case hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        hex(text, 32).filter(|id| *id != 0).map(Self)
    }
}

impl SpanId {
    /// The root of a job's tree in a consumer group: whoever ends the job there writes it.
    pub fn of_root(job_id: &str, group: &str) -> Self {
        Self(xxh3_64_with_seed(job_id.as_bytes(), xxh3_128(group.as_bytes()) as u64).max(1))
    }

    /// Reads 16 lower-case hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        hex(text, 16).and_then(|id| u64::try_from(id).ok()).filter(|id| *id != 0).map(Self)
    }

    /// A span of its own.
    pub fn random() -> Self {
        Self(fastrand::u64(1..))
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// As text wherever they are written, as other tools show them.
macro_rules! as_text {
    ($id:ty) => {
        impl Serialize for $id {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $id {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not an id of a trace or span"))
            }
        }
    };
}

as_text!(TraceId);
as_text!(SpanId);

/// Which traces are recorded from their beginning. A higher share takes all that a lower one takes, so a range that is published again
/// at another rate continues the traces that were begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sampling {
    /// Of 2^56 equally likely values, those from here on are taken.
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

    /// For the wire: of 2^56 values, so many are taken.
    pub fn taken(self) -> u64 {
        RANDOM_MAX - self.threshold
    }

    pub fn from_taken(taken: u64) -> Self {
        Self { threshold: RANDOM_MAX - taken.min(RANDOM_MAX) }
    }
}

/// A place in a trace, as W3C's `traceparent` carries it.
#[derive(Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    pub trace: TraceId,
    pub span: SpanId,
    pub is_sampled: bool,
}

impl TraceContext {
    /// Reads a `traceparent`; `None` for anything that W3C's trace context, level 1, does not allow. A later version is read as far as
    /// version 00 goes.
    pub fn parse(text: &str) -> Option<Self> {
        let (known, more) = text.split_at_checked(TRACEPARENT_BYTES)?;
        let mut parts = known.split('-');
        let version = hex(parts.next()?, 2)?;
        let trace = TraceId::parse(parts.next()?)?;
        let span = SpanId::parse(parts.next()?)?;
        let flags = u8::try_from(hex(parts.next()?, 2)?).ok()?;
        let is_long = version > 0 && more.starts_with('-');
        let is_whole = parts.next().is_none() && version < 0xff && (more.is_empty() || is_long);
        is_whole.then_some(Self { trace, span, is_sampled: flags & SAMPLED != 0 })
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags = if self.is_sampled { SAMPLED } else { 0 };
        write!(f, "00-{}-{}-{flags:02x}", self.trace, self.span)
    }
}

/// Exactly `digits` lower-case hexadecimal digits.
fn hex(text: &str, digits: usize) -> Option<u128> {
    let is_hex = text.len() == digits && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    is_hex.then(|| u128::from_str_radix(text, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn traces(count: u64) -> impl Iterator<Item = TraceId> {
        (0..count).map(|seq| TraceId::of_job(&format!("01k5-{seq}")))
    }

    /// The ids are stored in documents and computed by other tools, so they must never change.
    #[test]
    fn a_trace_is_that_of_the_xxhash_tools() {
        assert_eq!(TraceId::of_job("01k5-17").to_string(), format!("{:032x}", xxh3_128(b"01k5-17")));
        assert_eq!(
            TraceId::of_job("").to_string(),
            "99aa06d3014798d86001c324468d497f",
            "as the specification of XXH3 says"
        );
        assert_ne!(SpanId::of_root("r-1", "main"), SpanId::of_root("r-1", "audit"));
        assert_eq!(SpanId::of_root("r-1", "main"), SpanId::of_root("r-1", "main"));
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

    #[test]
    fn a_traceparent_reads_back_and_a_broken_or_hostile_one_is_none() {
        let context = TraceContext { trace: TraceId::of_job("r-1"), span: SpanId(7), is_sampled: true };
        assert_eq!(TraceContext::parse(&context.to_string()), Some(context));
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(TraceContext::parse(good).unwrap().to_string(), good);
        assert!(!TraceContext::parse(&good.replace("-01", "-00")).unwrap().is_sampled);
        assert!(TraceContext::parse(&format!("{}-more", good.replacen("00", "01", 1))).is_some(), "a later version");
        let broken = [
            "",
            "00",
            &good[1..],
            &format!("{good}-more"),
            &format!("{good}0"),
            &good.to_uppercase(),
            &good.replace('-', "_"),
            &good.replacen("00", "ff", 1),
            &good.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            &good.replace("00f067aa0ba902b7", &"0".repeat(16)),
            &good.replace("4bf9", "é4b"),
            &"0".repeat(10_000),
        ];
        for text in broken {
            assert_eq!(TraceContext::parse(text), None, "{text:.60}");
        }
    }
}

//! Ids of traces and spans, of which those of a job are a pure function of its id.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use xxhash_rust::xxh3::{xxh3_64_with_seed, xxh3_128};

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

/// Writes and reads ids as text everywhere, in the form that other tools show.
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

/// Exactly `digits` lower-case hexadecimal digits.
pub(super) fn hex(text: &str, digits: usize) -> Option<u128> {
    let is_hex = text.len() == digits && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    is_hex.then(|| u128::from_str_radix(text, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

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
}

//! A place in a trace, and the header in which it travels.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::ids::{SpanId, TraceId, hex};

/// The length of a W3C `traceparent` of version 00.
const TRACEPARENT_BYTES: usize = 55;
/// The only flag that is used: the trace is recorded.
const SAMPLED: u8 = 1;

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

#[cfg(test)]
mod tests {
    use super::*;

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

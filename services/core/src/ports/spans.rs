//! Where spans go. Best effort: what is lost costs a picture, never a job.

use async_trait::async_trait;

use crate::error::Result;
use crate::trace::TraceId;
use crate::trace::span::Span;

/// Takes spans.
#[async_trait]
pub trait SpanKeeper: Send + Sync {
    /// Keeps them, in one request. On `Err` they are lost.
    async fn keep(&self, spans: Vec<Span>) -> Result<()>;
}

/// Answers with the spans of a trace.
#[async_trait]
pub trait SpanReader: Send + Sync {
    /// All that is known of a trace, in no order; nothing if it is not known.
    async fn trace(&self, trace: TraceId) -> Result<Vec<Span>>;
}

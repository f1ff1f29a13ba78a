//! The spans of the API's calls, which continue the trace of whoever calls: made as spans of `tracing`, taken from there by
//! tracing-opentelemetry, and handed to the same bounded queue as all other spans.
//!
//! The layer belongs to the log, of which a process has one, and the place for spans is known only later, when a role has started: until
//! then, and where traces are off, no call has a span.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry::Context;
use opentelemetry::trace::{SpanKind as OtelSpanKind, Status, TraceContextExt as _, TracerProvider as _};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanProcessor};
use paceline_core::trace::span::{Span, SpanKind};
use paceline_core::trace::{SpanId, TraceContext, TraceId};
use tracing::field::Empty;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::registry::LookupSpan;

use super::names::attribute;
use super::otlp;
use super::traces::Traces;

/// The target of the spans of calls; nothing else becomes a span of a trace.
const TARGET: &str = "paceline::call";
/// Calls that begin a trace if their caller has none. The others are many, and say little without a caller's trace.
const BEGIN_A_TRACE: [&str; 5] = ["StartRun", "UpdateRun", "PauseRun", "ResumeRun", "StopRun"];

/// The code of a call without the token.
const UNAUTHENTICATED: &str = "16";

/// The place of the spans of calls; a clone is the same place.
#[derive(Debug, Clone, Default)]
pub struct CallSpans(Arc<OnceLock<Traces>>);

impl CallSpans {
    /// Sends spans there from now on; the first place counts.
    pub fn send_to(&self, traces: &Traces) {
        _ = self.0.set(traces.clone());
    }

    /// The layer that takes the spans from the log's subscriber.
    pub fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: tracing::Subscriber + for<'span> LookupSpan<'span>,
    {
        let provider = SdkTracerProvider::builder().with_span_processor(self.clone()).build();
        tracing_opentelemetry::layer()
            .with_tracer(provider.tracer("paceline"))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            .with_filter(Targets::new().with_target(TARGET, LevelFilter::INFO))
    }
}

/// A call while it is on its way; empty without a subscriber of ours, and where the call is not recorded.
pub struct Call(Option<tracing::Span>);

impl Call {
    /// Begins a span for a call of `method`, if the caller records the trace, or has none and the call is worth one. There are no more such
    /// spans a second than traces of jobs, since callers choose how many calls they make.
    pub fn begin(traces: &Traces, method: &str, parent: Option<TraceContext>) -> Self {
        let is_recorded = parent.map_or(BEGIN_A_TRACE.contains(&method), |parent| parent.is_sampled);
        if !is_recorded || !traces.may_begin_call() {
            return Self(None);
        }
        let span = tracing::info_span!(
            target: TARGET,
            "call",
            otel.name = method,
            otel.kind = "server",
            otel.status_code = Empty,
            { attribute::RPC_SYSTEM } = "grpc",
            { attribute::RPC_METHOD } = method,
            { attribute::RPC_STATUS } = Empty,
        );
        if let Some(parent) = parent {
            // It fails only where no layer takes the span.
            _ = span.set_parent(Context::new().with_remote_span_context(otlp::context(parent)));
        }
        Self(Some(span))
    }

    /// The context that the work of the call continues; `None` where the call is not recorded.
    pub fn context(&self) -> Option<TraceContext> {
        let context = self.0.as_ref()?.context();
        let found = context.span().span_context().clone();
        let (trace, span) = (TraceId(u128::from_be_bytes(found.trace_id().to_bytes())), span_id(found.span_id()));
        found.is_valid().then_some(TraceContext { trace, span, is_sampled: found.is_sampled() })
    }

    /// Ends the call with this code.
    pub fn ended(self, code: tonic::Code) {
        let Some(span) = self.0 else { return };
        span.record(attribute::RPC_STATUS, code as i64);
        if code != tonic::Code::Ok {
            span.record("otel.status_code", "ERROR");
        }
    }
}

impl SpanProcessor for CallSpans {
    fn on_start(&self, _span: &mut opentelemetry_sdk::trace::Span, _context: &Context) {}

    fn on_end(&self, span: SpanData) {
        let Some(traces) = self.0.get() else { return };
        let span = ours(span);
        // Whoever is not let in writes nothing into a trace.
        if span.attribute(attribute::RPC_STATUS) == UNAUTHENTICATED {
            return traces.unbegin_call();
        }
        traces.write(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }
}

fn span_id(id: opentelemetry::trace::SpanId) -> SpanId {
    SpanId(u64::from_be_bytes(id.to_bytes()))
}

/// The span in the form in which all other spans are kept.
fn ours(data: SpanData) -> Span {
    let us = |time: SystemTime| {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
    };
    let trace = TraceId(u128::from_be_bytes(data.span_context.trace_id().to_bytes()));
    let parent = Some(data.parent_span_id).filter(|id| *id != opentelemetry::trace::SpanId::INVALID).map(span_id);
    let code = |name: &str| data.attributes.iter().find(|found| found.key.as_str() == name).map(|found| &found.value);
    let is_failed = matches!(data.status, Status::Error { .. });
    let mut span = Span::new(trace, parent, data.name.clone(), (us(data.start_time), us(data.end_time)))
        .id(span_id(data.span_context.span_id()))
        .kind(if data.span_kind == OtelSpanKind::Server { SpanKind::Server } else { SpanKind::Internal })
        .text(attribute::RPC_SYSTEM, "grpc")
        .text(attribute::RPC_METHOD, data.name.clone());
    if let Some(opentelemetry::Value::I64(number)) = code(attribute::RPC_STATUS) {
        let error = is_failed.then(|| tonic::Code::from_i32(*number as i32).description().to_owned());
        span = span.int(attribute::RPC_STATUS, *number).error(error);
    }
    span
}

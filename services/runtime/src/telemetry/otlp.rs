//! Spans to a receiver of OTLP, over gRPC or HTTP: an OpenTelemetry collector, Tempo, Jaeger.

use std::fmt;
use std::time::{Duration, UNIX_EPOCH};

use async_trait::async_trait;
use bytes::Bytes;
use opentelemetry::trace::{
    Link, SpanContext, SpanId, SpanKind as OtelSpanKind, Status, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_http::{HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanData, SpanExporter as _, SpanLinks};
use paceline_core::error::codes;
use paceline_core::ports::SpanKeeper;
use paceline_core::trace::TraceContext;
use paceline_core::trace::span::{AttributeValue, Span, SpanKind};
use paceline_core::{Error, Result};

use super::identity::Identity;

/// The longest that a request may take; the exporter is no more patient.
pub(super) const TIMEOUT: Duration = Duration::from_secs(5);
/// The path at which OTLP over HTTP takes traces, if the endpoint names no path.
const HTTP_PATH: &str = "/v1/traces";

/// The transport of OTLP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OtlpProtocol {
    #[default]
    Grpc,
    Http,
}

/// The address of a receiver, as people may see it. The endpoint itself is repeated nowhere: it may hold a password or a key.
#[derive(Debug)]
pub(super) struct ReceiverAddress {
    host_and_port: String,
    names_a_path: bool,
}

impl ReceiverAddress {
    /// `setting` is what the error calls it.
    pub fn parse(setting: &str, endpoint: &str) -> Result<Self> {
        let url = url::Url::parse(endpoint)
            .map_err(|e| Error::invalid_field(setting, format!("is no address: {e}")).coded(codes::ADDRESS_INVALID))?;
        let (host, port) = (url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or(0));
        Ok(Self { host_and_port: format!("{host}:{port}"), names_a_path: url.path() != "/" })
    }

    /// The endpoint, with the usual path if it names none.
    pub fn with_path(&self, endpoint: &str, path: &str) -> String {
        if self.names_a_path { endpoint.to_owned() } else { format!("{}{path}", endpoint.trim_end_matches('/')) }
    }
}

impl fmt::Display for ReceiverAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.host_and_port)
    }
}

#[derive(Debug)]
pub struct Otlp {
    exporter: SpanExporter,
    place: ReceiverAddress,
}

impl Otlp {
    /// Connects when it is first used.
    pub fn new(endpoint: &str, protocol: OtlpProtocol, of: Identity<'_>) -> Result<Self> {
        let wrong = |why: String| {
            Error::invalid_field("traces.endpoint", format!("is no address for traces: {why}"))
                .coded(codes::ADDRESS_INVALID)
        };
        let place = ReceiverAddress::parse("traces.endpoint", endpoint)?;
        let exporter = match protocol {
            OtlpProtocol::Grpc => {
                SpanExporter::builder().with_tonic().with_endpoint(endpoint).with_timeout(TIMEOUT).build()
            }
            OtlpProtocol::Http => {
                let path = place.with_path(endpoint, HTTP_PATH);
                let client = reqwest::Client::builder().timeout(TIMEOUT).build().map_err(|e| wrong(e.to_string()))?;
                let exporter = SpanExporter::builder().with_http().with_http_client(Http(client));
                exporter.with_endpoint(path).with_timeout(TIMEOUT).build()
            }
        };
        let mut exporter = exporter.map_err(|e| wrong(e.to_string()))?;
        let attributes = of.attributes().map(|(name, value)| KeyValue::new(name, value));
        exporter.set_resource(&Resource::builder_empty().with_attributes(attributes).build());
        Ok(Self { exporter, place })
    }
}

#[async_trait]
impl SpanKeeper for Otlp {
    async fn keep(&self, spans: Vec<Span>) -> Result<()> {
        let exporting = self.exporter.export(spans.into_iter().map(data).collect());
        exporting.await.map_err(|e| {
            Error::unavailable(format!("{} takes no traces: {e}", self.place)).coded(codes::TELEMETRY_NOT_TAKEN)
        })
    }
}

/// The HTTP client of the exporter: the same library as for Elasticsearch, so that there is one TLS for all.
#[derive(Debug)]
struct Http(reqwest::Client);

#[async_trait]
impl HttpClient for Http {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let answer = self.0.execute(request.try_into()?).await?;
        let status = answer.status();
        // Whoever takes traces has little to say.
        let body = answer.bytes().await?;
        Ok(Response::builder().status(status).body(body)?)
    }
}

pub(super) fn context(context: TraceContext) -> SpanContext {
    let flags = if context.is_sampled { TraceFlags::SAMPLED } else { TraceFlags::default() };
    SpanContext::new(TraceId::from(context.trace.0), SpanId::from(context.span.0), flags, true, TraceState::default())
}

fn data(span: Span) -> SpanData {
    let at = |us: i64| UNIX_EPOCH + Duration::from_micros(u64::try_from(us).unwrap_or(0));
    let mut links = SpanLinks::default();
    links.links = span.links.iter().map(|link| Link::new(context(*link), Vec::new(), 0)).collect();
    SpanData {
        span_context: context(span.context()),
        parent_span_id: span.parent.map_or(SpanId::INVALID, |parent| SpanId::from(parent.0)),
        parent_span_is_remote: true,
        span_kind: match span.kind {
            SpanKind::Internal => OtelSpanKind::Internal,
            SpanKind::Producer => OtelSpanKind::Producer,
            SpanKind::Consumer => OtelSpanKind::Consumer,
            SpanKind::Client => OtelSpanKind::Client,
            SpanKind::Server => OtelSpanKind::Server,
        },
        name: span.name,
        start_time: at(span.start_us),
        end_time: at(span.end_us),
        attributes: span
            .attributes
            .into_iter()
            .map(|(name, value)| KeyValue::new(opentelemetry::Key::from(name), any(value)))
            .collect(),
        dropped_attributes_count: 0,
        events: Default::default(),
        links,
        status: span.error.map_or(Status::Unset, Status::error),
        instrumentation_scope: InstrumentationScope::builder("paceline").build(),
    }
}

fn any(value: AttributeValue) -> opentelemetry::Value {
    match value {
        AttributeValue::Text(text) => opentelemetry::Value::String(text.into()),
        AttributeValue::Int(number) => opentelemetry::Value::I64(number),
    }
}

//! A receiver of OTLP over gRPC, as a collector is one: keeps the spans and metrics that roles send, for a test to look at.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{ExportMetricsServiceRequest, ExportMetricsServiceResponse};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::any_value;
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::trace::v1::Span;
use paceline_core::trace::TraceId;
use tokio::net::TcpListener;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

const WAIT_MAX: Duration = Duration::from_secs(60);
const POLL_INTERVAL: Duration = Duration::from_millis(20);

#[derive(Clone)]
pub struct Receiver {
    pub address: SocketAddr,
    spans: Arc<Mutex<Vec<Span>>>,
    metrics: Arc<Mutex<Vec<Metric>>>,
}

impl Receiver {
    /// Serves for as long as the runtime runs.
    #[allow(clippy::disallowed_methods, reason = "it ends with the test's runtime")]
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let receiver = Self { address, spans: Arc::default(), metrics: Arc::default() };
        let service = TraceServiceServer::new(receiver.clone());
        let metrics = MetricsServiceServer::new(receiver.clone());
        let serving = tonic::transport::Server::builder().add_service(service).add_service(metrics);
        tokio::spawn(serving.serve_with_incoming(TcpIncoming::from(listener)));
        receiver
    }

    pub fn trace(&self, trace: TraceId) -> Vec<Span> {
        let id = trace.0.to_be_bytes();
        self.all().into_iter().filter(|span| span.trace_id == id).collect()
    }

    pub fn all(&self) -> Vec<Span> {
        self.spans.lock().expect("no test panics with it").clone()
    }

    /// Every metric that was sent up to now, once they are as `is_enough` says, in the order of their coming.
    pub async fn until_metrics(&self, is_enough: impl Fn(&[Metric]) -> bool) -> Vec<Metric> {
        let all = || self.metrics.lock().expect("no test panics with it").clone();
        let waiting = async {
            while !is_enough(&all()) {
                tokio::time::sleep(POLL_INTERVAL).await;
            }
            all()
        };
        tokio::time::timeout(WAIT_MAX, waiting).await.expect("metrics come")
    }

    /// The spans of a trace, once they are as `is_whole` says.
    pub async fn until(&self, trace: TraceId, is_whole: impl Fn(&[Span]) -> bool) -> Vec<Span> {
        let waiting = async {
            loop {
                let spans = self.trace(trace);
                if is_whole(&spans) {
                    return spans;
                }
                tokio::time::sleep(POLL_INTERVAL).await;
            }
        };
        let whole = tokio::time::timeout(WAIT_MAX, waiting).await;
        whole.unwrap_or_else(|_| panic!("not whole: {:?}", names(&self.trace(trace))))
    }
}

#[tonic::async_trait]
impl TraceService for Receiver {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let scopes = request.into_inner().resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
        self.spans.lock().expect("no test panics with it").extend(scopes.flat_map(|scope| scope.spans));
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl MetricsService for Receiver {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        let scopes = request.into_inner().resource_metrics.into_iter().flat_map(|resource| resource.scope_metrics);
        self.metrics.lock().expect("no test panics with it").extend(scopes.flat_map(|scope| scope.metrics));
        Ok(Response::new(ExportMetricsServiceResponse::default()))
    }
}

/// In the order of their beginning.
pub fn names(spans: &[Span]) -> Vec<String> {
    let mut spans: Vec<_> = spans.iter().collect();
    spans.sort_by_key(|span| (span.start_time_unix_nano, span.end_time_unix_nano));
    spans.into_iter().map(|span| span.name.clone()).collect()
}

/// An attribute of a span, as text; empty where there is none.
pub fn attribute(span: &Span, name: &str) -> String {
    let found = span.attributes.iter().find(|attribute| attribute.key == name);
    match found.and_then(|attribute| attribute.value.as_ref()?.value.as_ref()) {
        Some(any_value::Value::StringValue(text)) => text.clone(),
        Some(any_value::Value::IntValue(number)) => number.to_string(),
        _ => String::new(),
    }
}

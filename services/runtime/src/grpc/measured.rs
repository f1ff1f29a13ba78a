//! Measures every call of the API: its time, by method and by the code at its end; of a stream, the opening. A call whose trace is recorded
//! is a span of that trace, and the work of the call continues the span.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::Response;
use paceline_core::trace::TraceContext;
use prost::Message as _;
use tokio::time::Instant;
use tonic::Code;
use tonic::service::Routes;

use crate::telemetry::calls::Call;
use crate::telemetry::metrics::{Metrics, names};
use crate::telemetry::traces::Traces;

/// The method of a call to anything that is no method of ours: callers choose paths, and each label is kept for ever.
const OTHER: &str = "other";
const STATUS_HEADER: &str = "grpc-status";
const TRACEPARENT: &str = "traceparent";

#[derive(Clone)]
struct Measured {
    metrics: Metrics,
    traces: Traces,
    /// The known methods by path, `/package.Service/Method`.
    methods: Arc<HashMap<String, Arc<str>>>,
}

/// A call on its way. A call that is dropped before its end was cancelled by its caller.
struct OnItsWay<'a> {
    measured: &'a Measured,
    method: &'a str,
    begun: Instant,
    code: Code,
}

pub fn measured(routes: Routes, (metrics, traces): (&Metrics, &Traces)) -> Routes {
    let measured = Measured { metrics: metrics.clone(), traces: traces.clone(), methods: Arc::new(methods()) };
    let router: Router = routes.into_axum_router().layer(middleware::from_fn_with_state(measured, measure));
    router.into()
}

async fn measure(State(measured): State<Measured>, mut request: Request, next: Next) -> Response {
    let method = measured.methods.get(request.uri().path()).cloned();
    let method = method.as_deref().unwrap_or(OTHER);
    let parent = request.headers().get(TRACEPARENT).and_then(|text| TraceContext::parse(text.to_str().ok()?));
    let call = Call::begin(&measured.traces, method, parent);
    let context = call.context().and_then(|context| context.to_string().parse().ok());
    if let Some(context) = context {
        request.headers_mut().insert(TRACEPARENT, context);
    }
    let mut on_its_way = OnItsWay { measured: &measured, method, begun: Instant::now(), code: Code::Cancelled };
    let response = next.run(request).await;
    on_its_way.code = code(&response);
    call.ended(on_its_way.code);
    response
}

/// The code of a call. A refusal has it in the headers; a success has it behind the body, which a role makes without failing.
fn code(response: &Response) -> Code {
    let status = response.headers().get(STATUS_HEADER);
    status.map_or(Code::Ok, |status| Code::from_bytes(status.as_bytes()))
}

/// The methods of our own services and of gRPC's health service, which our roles ask each other; by path.
fn methods() -> HashMap<String, Arc<str>> {
    let sets = [paceline_proto::DESCRIPTOR_SET, tonic_health::pb::FILE_DESCRIPTOR_SET];
    let files = sets.into_iter().flat_map(|set| {
        let set =
            prost_types::FileDescriptorSet::decode(set).expect("the descriptors are those that reflection serves");
        set.file
    });
    let paths = files.flat_map(|file| {
        let package = file.package().to_owned();
        file.service.into_iter().flat_map(move |service| {
            let place = format!("/{package}.{}", service.name());
            service.method.into_iter().map(move |method| (format!("{place}/{}", method.name()), method.name().into()))
        })
    });
    paths.collect()
}

impl Drop for OnItsWay<'_> {
    fn drop(&mut self) {
        let took = self.begun.elapsed();
        let labels = [self.method, name(self.code)];
        self.measured.metrics.histogram(&names::GRPC_DURATION, &labels).observe_time(took);
    }
}

/// The name of a code in gRPC.
fn name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use axum::body::Body;
    use axum::http::HeaderMap;
    use paceline_core::clock::SystemClock;
    use paceline_core::trace::span::SpanKind;
    use tokio::net::TcpListener;
    use tonic::client::Grpc;
    use tonic::codegen::Service as _;
    use tonic::codegen::http::uri::PathAndQuery;
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;
    use crate::grpc::{GrpcHealth, channel, serve};
    use crate::lifecycle::Shutdown;
    use crate::telemetry::calls::CallSpans;
    use crate::telemetry::traces::Choice;

    #[tokio::test]
    async fn calls_are_measured_and_no_caller_makes_a_label() {
        let metrics = Metrics::new("scheduler", SystemClock::shared());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let shutdown = Shutdown::new();
        let calling = async {
            for path in ["/grpc.health.v1.Health/Check", "/some.Service/Nonsense", "/grpc.health.v1.Health/Nonsense"] {
                let mut client = Grpc::new(channel(&address, None).unwrap());
                client.ready().await.unwrap();
                let codec = tonic_prost::ProstCodec::<(), ()>::default();
                let path = PathAndQuery::from_static(path);
                _ = client.unary(tonic::Request::new(()), path, codec).await;
            }
            shutdown.trigger();
        };
        let traces = Traces::off();
        let serving = serve(listener, GrpcHealth::new(), |routes| routes, (&metrics, &traces), shutdown.clone());
        tokio::join!(serving, calling).0.unwrap();
        let text = metrics.text();
        let count = |method, code| {
            text.contains(&format!(
                "paceline_grpc_duration_seconds_count{{role=\"scheduler\",method=\"{method}\",code=\"{code}\"}}"
            ))
        };
        assert!(count("Check", "OK") && count("other", "UNIMPLEMENTED") && !text.contains("Nonsense"), "{text}");
    }

    /// The caller's context as the role sees it, and the span that was written.
    #[tokio::test]
    async fn a_call_continues_its_callers_trace_and_what_it_does_continues_the_call() {
        let calls = CallSpans::default();
        let _subscribed = tracing::subscriber::set_default(tracing_subscriber::registry().with(calls.layer()));
        let (traces, mut spans, _) = Traces::new(Choice::default());
        calls.send_to(&traces);
        let seen = Arc::new(Mutex::new(Vec::new()));
        let notes = seen.clone();
        let note = async move |headers: HeaderMap| {
            let found = headers.get(TRACEPARENT).and_then(|text| TraceContext::parse(text.to_str().ok()?));
            notes.lock().unwrap().push(found);
            [(STATUS_HEADER, "5")]
        };
        let note = axum::routing::any(note);
        let router = Router::new()
            .route("/paceline.v1.SchedulerService/StartRun", note.clone())
            .route("/paceline.v1.SchedulerService/GetRun", note);
        let mut router = measured(router.into(), (&Metrics::off(), &traces)).into_axum_router();
        let mut call = async |method: &str, parent: Option<&str>| {
            let request = Request::builder().uri(format!("/paceline.v1.SchedulerService/{method}"));
            let request = parent.into_iter().fold(request, |request, parent| request.header(TRACEPARENT, parent));
            router.call(request.body(Body::empty()).unwrap()).await.unwrap();
        };
        let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        call("GetRun", Some(parent)).await;
        let span = spans.try_recv().unwrap();
        let asked = TraceContext::parse(parent).unwrap();
        assert_eq!((span.trace, span.parent, &*span.name), (asked.trace, Some(asked.span), "GetRun"));
        assert_eq!((span.kind, span.error.is_some()), (SpanKind::Server, true), "NOT_FOUND");
        assert_eq!(seen.lock().unwrap()[0], Some(TraceContext { span: span.id, ..asked }));

        call("StartRun", None).await;
        assert_eq!(spans.try_recv().unwrap().trace, seen.lock().unwrap()[1].unwrap().trace, "it begins one");
        call("GetRun", None).await;
        call("StartRun", Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00")).await;
        call("StartRun", Some("nonsense")).await;
        assert_eq!(spans.try_recv().unwrap().parent, None, "a broken context is none");
        assert!(spans.try_recv().is_err(), "and nobody else wanted one");
    }
}

//! Measures every call of the API: how long it took, by method and by the code it ended with. Of a stream, its opening.

use std::collections::HashSet;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::Response;
use prost::Message as _;
use tokio::time::Instant;
use tonic::Code;
use tonic::service::Routes;

use crate::telemetry::metrics::{Metrics, names};

/// The method of a call to anything that is no method of ours: callers choose paths, and each label is kept for ever.
const OTHER: &str = "other";
const STATUS_HEADER: &str = "grpc-status";

#[derive(Clone)]
struct Measured {
    metrics: Metrics,
    /// Paths, `/package.Service/Method`.
    methods: Arc<HashSet<String>>,
}

/// A call on its way; dropped before it has ended, its caller has cancelled it.
struct OnItsWay<'a> {
    measured: &'a Measured,
    method: &'a str,
    begun: Instant,
    code: Code,
}

pub fn measured(routes: Routes, metrics: &Metrics) -> Routes {
    let measured = Measured { metrics: metrics.clone(), methods: Arc::new(methods()) };
    let router: Router = routes.into_axum_router().layer(middleware::from_fn_with_state(measured, measure));
    router.into()
}

async fn measure(State(measured): State<Measured>, request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let known = measured.methods.contains(&path).then(|| path.rsplit('/').next()).flatten();
    let method = known.unwrap_or(OTHER);
    let mut on_its_way = OnItsWay { measured: &measured, method, begun: Instant::now(), code: Code::Cancelled };
    let response = next.run(request).await;
    on_its_way.code = code(&response);
    response
}

/// A refusal is in the headers. A success says so only behind its body, which a role makes without failing.
fn code(response: &Response) -> Code {
    let status = response.headers().get(STATUS_HEADER);
    status.map_or(Code::Ok, |status| Code::from_bytes(status.as_bytes()))
}

/// Of our own services and of gRPC's health service, which our roles ask each other.
fn methods() -> HashSet<String> {
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
            service.method.into_iter().map(move |method| format!("{place}/{}", method.name()))
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

/// As gRPC calls it.
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
    use paceline_core::clock::SystemClock;
    use tokio::net::TcpListener;
    use tonic::client::Grpc;
    use tonic::codegen::http::uri::PathAndQuery;

    use super::*;
    use crate::grpc::{Health, channel, serve};
    use crate::lifecycle::Shutdown;

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
        let serving = serve(listener, Health::new(), |routes| routes, &metrics, shutdown.clone());
        tokio::join!(serving, calling).0.unwrap();
        let text = metrics.text();
        let count = |method, code| {
            text.contains(&format!(
                "paceline_grpc_duration_seconds_count{{role=\"scheduler\",method=\"{method}\",code=\"{code}\"}}"
            ))
        };
        assert!(count("Check", "OK") && count("other", "UNIMPLEMENTED") && !text.contains("Nonsense"), "{text}");
    }
}

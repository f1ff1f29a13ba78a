//! Serving gRPC: reflection and the standard health service beside a role's own, a stop that drains; [`client`] makes channels to others.
//!
//! Here: the transport of calls, and no method of any API. It may use the lifecycle, the readiness, the tokens and the telemetry.

mod client;
mod measured;

use std::time::Duration;

use paceline_core::error::codes;
use paceline_core::{Error, Result};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::server::NamedService;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::lifecycle::Shutdown;
use crate::readiness::Readiness;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::traces::Traces;

pub use client::{Authorized, CONNECT_TIMEOUT, authorized, authorized_as, channel, channel_as};

/// The largest request: a payload of 256 KiB as a Struct, which is larger on the wire than as JSON, and room.
pub const REQUEST_BYTES_MAX: usize = 2 * 1024 * 1024;
/// The longest that open calls may go on after a stop.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);

/// The health service of a role, and the handle that changes what it says.
pub struct GrpcHealth {
    pub reporter: HealthReporter,
    routes: Routes,
}

impl GrpcHealth {
    /// A role that is not serving yet.
    pub fn new() -> Self {
        let (reporter, service) = tonic_health::server::health_reporter();
        Self { reporter, routes: Routes::new(service) }
    }
}

impl Default for GrpcHealth {
    fn default() -> Self {
        Self::new()
    }
}

/// Keeps a service's health true, and that of the whole server, for ever: SERVING while the role is ready.
pub async fn follow_health<S: NamedService>(reporter: HealthReporter, readiness: Readiness, shutdown: Shutdown) {
    let tell = |is_ready| {
        let (reporter, status) =
            (reporter.clone(), if is_ready { ServingStatus::Serving } else { ServingStatus::NotServing });
        async move {
            for name in [S::NAME, ""] {
                reporter.set_service_status(name, status).await;
            }
        }
    };
    readiness.follow(&shutdown, tell).await;
}

/// Serves until `shutdown`, then lets open calls end within a bounded time. `add` puts the role's services on the routes;
/// `seen` is where their calls are measured and traced.
pub async fn serve(
    listener: TcpListener,
    health: GrpcHealth,
    add: impl FnOnce(Routes) -> Routes,
    seen: (&Metrics, &Traces),
    shutdown: Shutdown,
) -> Result<()> {
    let routes = add(health.routes);
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(paceline_proto::DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            // So that grpcurl can print the field details of an error.
            .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
    };
    let broken = |e: tonic_reflection::server::Error| Error::internal(format!("descriptor set: {e}"));
    // grpcurl of any age: both versions of the reflection protocol.
    let routes = routes
        .add_service(reflection().build_v1().map_err(broken)?)
        .add_service(reflection().build_v1alpha().map_err(broken)?);
    let server = Server::builder()
        .add_routes(measured::measured(routes, seen))
        .serve_with_incoming_shutdown(TcpListenerStream::new(listener), shutdown.triggered());
    let overdue = async {
        shutdown.triggered().await;
        tokio::time::sleep(DRAIN_TIMEOUT).await;
    };
    tokio::select! {
        biased;
        result = server => {
            result.map_err(|e| Error::unavailable(format!("gRPC server: {e}")).coded(codes::SERVER_ENDED))
        }
        () = overdue => Ok(()),
    }
}

/// Binds `address`. UNAVAILABLE if it is taken; the error says who else may have the port.
pub async fn bind(address: std::net::SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|e| {
        Error::unavailable(format!(
            "cannot listen on {address}: {e}; is another Paceline running? choose a port, or 0 for a free one"
        ))
        .coded(codes::PORT_UNUSABLE)
    })
}

//! The producer role: turns a range of a run into messages and answers when the broker has confirmed every one.
//!
//! It keeps nothing: what a range means stands in the ledger, so any producer can publish any range, also again.
//! [`Producer`] does the work; [`run`] serves it over gRPC, with a readiness that follows the broker.

mod in_flight;
mod measured;
mod publish;
mod ready;
mod service;
mod spans;
mod specs;

use paceline_core::Result;
use paceline_proto::v1::producer_service_server::ProducerServiceServer;
use paceline_runtime::grpc::{self, Health};
use paceline_runtime::lifecycle::Shutdown;
use paceline_runtime::protocol::RequireProtocol;
use paceline_runtime::readiness::Readiness;
use tokio::net::TcpListener;
use tonic::service::Routes;

pub use publish::Producer;

type Server = ProducerServiceServer<service::Service>;

/// Serves `producer` on `listener` until `shutdown`, to `callers` alone. Ready, and SERVING, while it reaches the broker, which takes publishes, and
/// the ledger.
pub async fn run(
    producer: Producer,
    readiness: Readiness,
    listener: TcpListener,
    callers: RequireProtocol,
    shutdown: Shutdown,
) -> Result<()> {
    let (measured, traces) = (producer.measured().clone(), producer.traces().clone());
    measured.metrics.show_role(&readiness);
    let health = Health::new();
    let reporter = health.reporter.clone();
    let service = ProducerServiceServer::with_interceptor(service::Service(producer.clone()), callers);
    let add = |routes: Routes| routes.add_service(service);
    let serving = grpc::serve(listener, health, add, (&measured.metrics, &traces), shutdown.clone());
    tokio::select! {
        biased;
        result = serving => result,
        () = ready::watch(producer, readiness, reporter, shutdown) => Ok(()),
    }
}

//! The producer role: turns a range of a run into messages and answers when the broker has confirmed every one.
//!
//! It keeps nothing: what a range means stands in the ledger, so any producer can publish any range, also again.
//! [`Producer`] does the work; [`run`] serves it over gRPC, with a readiness that follows the broker.

mod context;
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
use paceline_runtime::instruments::Instruments;
use paceline_runtime::lifecycle::Shutdown;
use tokio::net::TcpListener;
use tonic::service::Routes;

pub use context::{Config, Ports};
pub use publish::Producer;

type Server = ProducerServiceServer<service::Service>;

/// Serves `producer` on `listener` until `shutdown`, to the callers of `config` alone. Ready, and SERVING, while it reaches the broker,
/// which takes publishes, and the ledger.
pub async fn run(config: Config, producer: Producer, listener: TcpListener, shutdown: Shutdown) -> Result<()> {
    let Config { callers, instruments: Instruments { readiness, traces, metrics }, .. } = config;
    metrics.show_role(&readiness);
    let health = Health::new();
    let reporter = health.reporter.clone();
    let service = ProducerServiceServer::with_interceptor(service::Service(producer.clone()), callers);
    let add = |routes: Routes| routes.add_service(service);
    let serving = grpc::serve(listener, health, add, (&metrics, &traces), shutdown.clone());
    tokio::select! {
        biased;
        result = serving => result,
        () = ready::watch(producer, readiness, reporter, shutdown) => Ok(()),
    }
}

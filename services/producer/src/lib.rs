//! The producer role: turns a range of a run into messages and answers when the broker has confirmed every one.
//!
//! It keeps nothing: what a range means stands in the ledger, so any producer can publish any range, also again.
//! [`Producer`] does the work; [`run`] serves it over gRPC, with a health status that follows the broker.

mod publish;
mod service;
mod specs;

use paceline_core::Result;
use paceline_proto::v1::producer_service_server::ProducerServiceServer;
use paceline_runtime::auth::RequireToken;
use paceline_runtime::grpc::{self, Health};
use paceline_runtime::lifecycle::Shutdown;
use tokio::net::TcpListener;

pub use publish::Producer;

type Server = ProducerServiceServer<service::Service>;

/// Serves `producer` on `listener` until `shutdown`. Health is SERVING only while the broker can be reached.
pub async fn run(producer: Producer, listener: TcpListener, token: RequireToken, shutdown: Shutdown) -> Result<()> {
    let health = Health::new();
    let reporter = health.reporter.clone();
    let service = ProducerServiceServer::with_interceptor(service::Service(producer.clone()), token);
    let serving = grpc::serve(listener, health, |routes| routes.add_service(service), shutdown.clone());
    let watching = grpc::follow_health::<Server, _>(reporter, || producer.check());
    tokio::select! {
        result = serving => result,
        () = watching => Ok(()),
    }
}

//! The producer role: turns a range of a run into messages and answers when the broker has confirmed every one.
//!
//! It keeps nothing: what a range means stands in the ledger, so any producer can publish any range, also again.
//! [`Producer`] does the work; [`run`] serves it over gRPC, with a health status that follows the broker.

mod publish;
mod service;
mod specs;

use std::time::Duration;

use paceline_core::Result;
use paceline_proto::v1::producer_service_server::ProducerServiceServer;
use paceline_runtime::auth::RequireToken;
use paceline_runtime::grpc::{self, Health};
use paceline_runtime::lifecycle::Shutdown;
use tokio::net::TcpListener;

pub use publish::Producer;

type Server = ProducerServiceServer<service::Service>;

/// How often the health status looks at the broker.
const HEALTH_INTERVAL: Duration = Duration::from_secs(1);

/// Serves `producer` on `listener` until `shutdown`. Health is SERVING only while the broker can be reached.
pub async fn run(producer: Producer, listener: TcpListener, token: RequireToken, shutdown: Shutdown) -> Result<()> {
    let health = Health::new();
    let reporter = health.reporter.clone();
    let service = ProducerServiceServer::with_interceptor(service::Service(producer.clone()), token);
    let serving = grpc::serve(listener, health, |routes| routes.add_service(service), shutdown.clone());
    let watching = async {
        let mut was_well = None;
        loop {
            let check = producer.check().await;
            if was_well != Some(check.is_ok()) {
                report(&reporter, &check).await;
                was_well = Some(check.is_ok());
            }
            tokio::time::sleep(HEALTH_INTERVAL).await;
        }
    };
    tokio::select! {
        result = serving => result,
        () = watching => Ok(()),
    }
}

async fn report(reporter: &tonic_health::server::HealthReporter, check: &Result<String>) {
    match check {
        Ok(_) => reporter.set_serving::<Server>().await,
        Err(error) => {
            tracing::warn!(%error, "not serving: the broker cannot be reached");
            reporter.set_not_serving::<Server>().await;
        }
    }
}

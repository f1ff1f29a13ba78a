//! The producer role: turns a range of a run into messages and answers when the broker has confirmed every one.
//!
//! A producer keeps nothing: the spec of a run stands in the ledger, so any producer can publish any range, also again.
//!
//! The way of a range: [`service`] takes it from the wire, or a scheduler in this process calls [`Producer`] itself; [`mod@producer`] looks its
//! run up in [`specs`], has its queue made ([`declared`]) and cuts it into chunks; [`chunk`] publishes each, no more at once than [`in_flight`]
//! has room for. [`ready`] follows the broker; [`metrics`], [`depths`] and [`spans`] show the work.
//!
//! [`Config`], [`Ports`] and [`run`] have the same names in every role.
//!
//! Here: from a range to confirmed messages, and nothing of pacing, counting or handling. It may use core, proto and runtime; no other role
//! and no adapter.

mod chunk;
mod context;
mod declared;
mod depths;
mod in_flight;
mod metrics;
mod producer;
mod ready;
mod service;
mod spans;
mod specs;

use paceline_core::Result;
use paceline_runtime::grpc::{self, GrpcHealth};
use paceline_runtime::instruments::Instruments;
use paceline_runtime::lifecycle::Shutdown;
use tokio::net::TcpListener;
use tonic::service::Routes;

use service::{ProducerApi, ProducerServer};

pub use context::{Config, Ports};
pub use producer::Producer;

/// Serves `producer` on `listener` until `shutdown`, to the callers of `config` alone. Ready, and SERVING, while it reaches the broker,
/// which takes publishes, and the ledger.
pub async fn run(config: Config, producer: Producer, listener: TcpListener, shutdown: Shutdown) -> Result<()> {
    let Config { callers, instruments: Instruments { readiness, traces, metrics }, .. } = config;
    metrics.show_role(&readiness);
    let health = GrpcHealth::new();
    let reporter = health.reporter.clone();
    let service = ProducerServer::with_interceptor(ProducerApi(producer.clone()), callers);
    let add = |routes: Routes| routes.add_service(service);
    let serving = grpc::serve(listener, health, add, (&metrics, &traces), shutdown.clone());
    tokio::select! {
        biased;
        result = serving => result,
        () = ready::watch(producer, readiness, reporter, shutdown) => Ok(()),
    }
}

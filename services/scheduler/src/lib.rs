//! The scheduler role: owns runs, keeps their pace, and answers the gRPC API.
//!
//! [`Scheduler`] is the handle that the API uses: it writes what callers want to the ledger. [`supervisor`] takes the
//! lease of every run that has no owner and gives it to an [`owner`], which paces, reserves and [`dispatch`]es ranges to
//! [`producers`], which [`discovery`] finds, no more at once than a [`window`] allows; [`backlog`] holds it back, [`healer`] closes what a
//! lost queue or ledger left open, [`keeper`] keeps the run in the sink, and [`endings`] keeps its end there; [`measured`] shows how they do,
//! and [`scale`] says how many workers a queue needs. Nothing is kept here that the ledger does
//! not have, so any scheduler can go on where another stopped.

mod api;
mod backlog;
mod breaker;
mod context;
mod convert;
mod discovery;
mod dispatch;
mod endings;
mod healer;
mod keeper;
mod measured;
mod member;
mod owner;
pub mod producers;
mod ready;
mod remote;
mod scale;
mod service;
mod spans;
mod supervisor;
mod validate;
mod verify;
mod watch;
mod window;

use paceline_core::Result;
use paceline_proto::externalscaler::external_scaler_server::ExternalScalerServer;
use paceline_proto::v1::scale_service_server::ScaleServiceServer;
use paceline_proto::v1::scheduler_service_server::SchedulerServiceServer;
use paceline_proto::v1::verify_service_server::VerifyServiceServer;
use paceline_runtime::grpc::{self, Health};
use paceline_runtime::instruments::Instruments;
use paceline_runtime::lifecycle::Shutdown;
use tokio::net::TcpListener;
use tonic::service::Routes;

pub use api::{Page, Scheduler, Update};
pub use context::{Config, Context, HIGH_WATER_DEFAULT, Limits, Ports};
pub use discovery::{Place, places_now};
pub use producers::Producers;
pub use remote::Caller;
pub use validate::{Rules, StartRun};

type Server = SchedulerServiceServer<service::Service>;

/// Owns runs until `shutdown`, then gives its leases up; serves nobody. A part of [`run`], and what the simulation runs.
pub async fn supervise(scheduler: &Scheduler, shutdown: Shutdown) {
    supervisor::supervise(scheduler.context.clone(), scheduler.wakers(), shutdown).await;
}

/// Serves the API on `listener` and owns runs until `shutdown`; then gives its leases up. Ready while it reaches the ledger and
/// has a producer that works.
pub async fn run(config: Config, ports: Ports, listener: TcpListener, shutdown: Shutdown) -> Result<()> {
    let context = Context { config, ports };
    let Instruments { readiness, traces, metrics } = context.config.instruments.clone();
    metrics.show_role(&readiness);
    let health = Health::new();
    let watching = ready::watch(&context, readiness, health.reporter.clone(), shutdown.clone());
    let scheduler = Scheduler::new(context.clone());
    let services = services(&scheduler);
    let supervising = supervise(&scheduler, shutdown.clone());
    let probing = context.ports.producers.probe(shutdown.clone());
    let serving = grpc::serve(listener, health, services, (&metrics, &traces), shutdown);
    let working = async { tokio::join!(supervising, probing, serving).2 };
    tokio::select! {
        biased;
        served = working => served,
        () = watching => Ok(()),
    }
}

/// Adds every service of a scheduler to the routes of its server.
fn services(scheduler: &Scheduler) -> impl FnOnce(Routes) -> Routes + use<> {
    let (context, token) = (scheduler.context.clone(), scheduler.context.config.token.clone());
    let api = SchedulerServiceServer::with_interceptor(service::Service::new(scheduler.clone()), token.clone());
    let proof = VerifyServiceServer::with_interceptor(verify::Service(context.clone()), token.clone());
    let scale = ScaleServiceServer::with_interceptor(scale::service::Service(context.clone()), token.clone());
    // KEDA carries the token in its own way.
    let keda = ExternalScalerServer::new(scale::keda::Service::new(context, token));
    |routes| routes.add_service(api).add_service(proof).add_service(scale).add_service(keda)
}

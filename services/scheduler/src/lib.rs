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

use std::sync::Arc;
use std::time::Duration;

use paceline_core::Result;
use paceline_core::clock::SharedClock;
use paceline_core::policy::Policy;
use paceline_core::ports::{Ledger, Sink};
use paceline_proto::externalscaler::external_scaler_server::ExternalScalerServer;
use paceline_proto::v1::scale_service_server::ScaleServiceServer;
use paceline_proto::v1::scheduler_service_server::SchedulerServiceServer;
use paceline_proto::v1::verify_service_server::VerifyServiceServer;
use paceline_runtime::auth::RequireToken;
use paceline_runtime::grpc::{self, Health};
use paceline_runtime::lifecycle::Shutdown;
use paceline_runtime::readiness::Readiness;
use paceline_runtime::telemetry::metrics::Metrics;
use paceline_runtime::telemetry::traces::Traces;
use tokio::net::TcpListener;
use tonic::service::Routes;

pub use api::{Page, Scheduler, Update};
pub use backlog::HIGH_WATER_DEFAULT;
pub use discovery::{Place, places_now};
pub use producers::Producers;
pub use remote::Caller;
pub use validate::{Rules, StartRun};

/// Storing and counting a job that its handler has finished takes less.
const HANDS_MARGIN: Duration = Duration::from_secs(5);

type Server = SchedulerServiceServer<service::Service>;

/// What a scheduler works with.
#[derive(Clone)]
pub struct Context {
    /// This scheduler, as it stands in leases.
    pub id: String,
    /// The consumer group that new runs are made for, and whose numbers are shown of a run that has it.
    pub group: String,
    pub ledger: Arc<dyn Ledger>,
    /// For proofs, for healing, and to keep runs where a lost ledger can be rebuilt from.
    pub sink: Arc<dyn Sink>,
    pub producers: Arc<Producers>,
    pub clock: SharedClock,
    /// What a run may name.
    pub rules: Rules,
    pub limits: Limits,
    /// What is recorded of the jobs' way.
    pub traces: Traces,
    /// What is measured of this scheduler.
    pub metrics: Metrics,
}

/// Where a scheduler holds back, and how patient it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Ready jobs of a queue above which no more are reserved.
    pub high_water: u64,
    /// How long a job may be in a worker's hands: longer than the longest timeout of a handler. A job that neither queue nor ledger
    /// nor sink has after that is lost, and sent again.
    pub hands_max: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { high_water: backlog::HIGH_WATER_DEFAULT, hands_max: Policy::default().timeout() + HANDS_MARGIN }
    }
}

impl Limits {
    /// With the timeouts of these queues' policies.
    pub fn of(high_water: u64, policies: impl Iterator<Item = Policy>) -> Self {
        let timeout = policies.map(|policy| policy.timeout()).max().unwrap_or_default();
        Self { high_water, hands_max: timeout + HANDS_MARGIN }
    }
}

/// Owns runs until `shutdown`, then gives its leases up; serves nobody. A part of [`run`], and what the simulation runs.
pub async fn supervise(scheduler: &Scheduler, shutdown: Shutdown) {
    supervisor::supervise(scheduler.context.clone(), scheduler.wakers(), shutdown).await;
}

/// Serves the API on `listener` and owns runs until `shutdown`; then gives its leases up. Ready while it reaches the ledger and
/// has a producer that works.
pub async fn run(
    context: Context,
    readiness: Readiness,
    listener: TcpListener,
    token: RequireToken,
    shutdown: Shutdown,
) -> Result<()> {
    context.metrics.show_role(&readiness);
    let health = Health::new();
    let watching = ready::watch(&context, readiness, health.reporter.clone(), shutdown.clone());
    let scheduler = Scheduler::new(context.clone());
    let service = SchedulerServiceServer::with_interceptor(service::Service::new(scheduler.clone()), token.clone());
    let proof = VerifyServiceServer::with_interceptor(verify::Service(context.clone()), token.clone());
    let scale = ScaleServiceServer::with_interceptor(scale::service::Service(context.clone()), token.clone());
    // KEDA carries the token in its own way.
    let keda = ExternalScalerServer::new(scale::keda::Service::new(context.clone(), token));
    let supervising = supervise(&scheduler, shutdown.clone());
    let probing = context.producers.probe(shutdown.clone());
    let add = |routes: Routes| routes.add_service(service).add_service(proof).add_service(scale).add_service(keda);
    let serving = grpc::serve(listener, health, add, (&context.metrics, &context.traces), shutdown);
    let working = async { tokio::join!(supervising, probing, serving).2 };
    tokio::select! {
        biased;
        served = working => served,
        () = watching => Ok(()),
    }
}

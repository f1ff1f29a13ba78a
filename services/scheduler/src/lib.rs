//! The scheduler role: owns runs, keeps their pace, and answers the gRPC API. Nothing is kept here that the ledger does not have, so any
//! scheduler can go on where another stopped.
//!
//! The rooms, each of which knows only those below it:
//!
//! * [`api`] answers callers: it writes what they want to the ledger, and reads back.
//! * [`owner`] takes the lease of every run that has no owner, keeps the run's pace and walks it to its end.
//! * [`metrics`] shows how the owners do.
//! * [`context`] has the configuration, the ports and the [`Producers`] that ranges go to.
//! * [`producers`] takes ranges to a producer that works.
//!
//! [`ready`] says whether this scheduler can do its work. [`Config`], [`Ports`] and [`run`] have the same names in every role.

mod api;
mod context;
mod metrics;
mod owner;
pub mod producers;
mod ready;

use paceline_core::Result;
use paceline_runtime::grpc::{self, GrpcHealth};
use paceline_runtime::instruments::Instruments;
use paceline_runtime::lifecycle::Shutdown;
use tokio::net::TcpListener;

pub use api::{RunPage, RunUpdate, SchedulerHandle, StartRun};
pub use context::{Config, Context, HIGH_WATER_DEFAULT, OwnerLimits, Ports, Rules};
pub use producers::{Caller, ProducerAddress, Producers, addresses_now};

/// Owns runs until `shutdown`, then gives its leases up; serves nobody. A part of [`run`], and the whole of what the simulation runs.
pub async fn supervise(scheduler: &SchedulerHandle, shutdown: Shutdown) {
    // In a box: the future would make that of every caller large.
    Box::pin(owner::supervise(scheduler.context.clone(), scheduler.wakers.clone(), shutdown)).await;
}

/// Serves the API on `listener` and owns runs until `shutdown`; then gives its leases up. Ready while it reaches the ledger and
/// has a producer that works.
pub async fn run(config: Config, ports: Ports, listener: TcpListener, shutdown: Shutdown) -> Result<()> {
    let context = Context { config, ports };
    let Instruments { readiness, traces, metrics } = context.config.instruments.clone();
    metrics.show_role(&readiness);
    let health = GrpcHealth::new();
    let watching = ready::watch(&context, readiness, health.reporter.clone(), shutdown.clone());
    let scheduler = SchedulerHandle::new(context.clone());
    let services = api::services(&scheduler);
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

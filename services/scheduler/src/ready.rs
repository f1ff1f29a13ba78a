//! The readiness of a scheduler: it reaches the ledger, and has a producer that takes ranges.

use std::time::Duration;

use paceline_runtime::grpc;
use paceline_runtime::lifecycle::Shutdown;
use paceline_runtime::readiness::{HICCUP, Readiness};
use tonic_health::server::HealthReporter;

use crate::api::SchedulerServer;
use crate::context::Context;

/// The pause between two checks of the ledger.
const LEDGER_INTERVAL: Duration = Duration::from_secs(1);
/// The pause between two looks at the breakers.
const PRODUCERS_INTERVAL: Duration = Duration::from_millis(250);

/// Keeps readiness and gRPC health true, for ever.
pub async fn watch(context: &Context, readiness: Readiness, reporter: HealthReporter, shutdown: Shutdown) {
    let producers = context.ports.producers.clone();
    let names = producers.clone();
    readiness.fact("producers", move || producers.states());
    readiness.fact("producer_names", move || names.name_states());
    let ledger = readiness.tolerant("ledger", HICCUP);
    let usable = readiness.condition("producers");
    tokio::join!(
        ledger.keep_checking(LEDGER_INTERVAL, || context.ports.ledger.mesh.check()),
        usable.keep_checking(PRODUCERS_INTERVAL, async || context.ports.producers.check()),
        grpc::follow_health::<SchedulerServer>(reporter, readiness, shutdown),
    );
}

//! The readiness of a producer: it reaches broker and ledger, and the broker confirms its publishes.

use std::time::Duration;

use paceline_runtime::grpc;
use paceline_runtime::lifecycle::Shutdown;
use paceline_runtime::readiness::{HICCUP, Readiness};
use tonic_health::server::HealthReporter;

use crate::producer::Producer;
use crate::service::ProducerServer;

/// The pause between two checks of the services.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);
const CONFIRMS_INTERVAL: Duration = Duration::from_millis(250);

/// Keeps readiness and gRPC health true, for ever.
pub async fn watch(producer: Producer, readiness: Readiness, reporter: HealthReporter, shutdown: Shutdown) {
    let rebuilt = producer.clone();
    readiness.fact("connections_rebuilt", move || rebuilt.rebuilt());
    let broker = readiness.condition("broker");
    let ledger = readiness.tolerant("ledger", HICCUP);
    // A broker that blocks publishers answers everything else.
    let confirms = readiness.condition("confirms");
    let publishes = readiness.shown("publishes");
    tokio::join!(
        broker.keep_checking(CHECK_INTERVAL, || producer.check_broker()),
        ledger.keep_checking(CHECK_INTERVAL, || producer.check_ledger()),
        confirms.keep_checking(CONFIRMS_INTERVAL, async || producer.check_confirms()),
        publishes.keep_checking(CONFIRMS_INTERVAL, async || producer.check_refusals()),
        producer.watch_depths(),
        grpc::follow_health::<ProducerServer>(reporter, readiness, shutdown),
    );
}

//! A producer's configuration and ports.

use std::sync::Arc;

use paceline_core::clock::SharedClock;
use paceline_core::ports::{Broker, Ledger, Mesh, Runs};
use paceline_runtime::instruments::Instruments;
use paceline_runtime::protocol::RequireProtocol;

/// Settings of one producer.
#[derive(Clone)]
pub struct Config {
    /// The id of the producer, as it stands in the counts of a run.
    pub id: String,
    /// Queues whose depth is shown, beside those that it publishes to.
    pub queues: Vec<String>,
    /// The group of those queues.
    pub group: String,
    /// Callers show this protocol and token.
    pub callers: RequireProtocol,
    pub instruments: Instruments,
}

/// The ports that a producer needs.
#[derive(Clone)]
pub struct Ports {
    pub broker: Arc<dyn Broker>,
    /// Knows the spec of a run, so its jobs.
    pub runs: Arc<dyn Runs>,
    pub mesh: Arc<dyn Mesh>,
    pub clock: SharedClock,
}

impl Ports {
    pub fn new(broker: Arc<dyn Broker>, ledger: Ledger, clock: SharedClock) -> Self {
        let Ledger { runs, mesh, .. } = ledger;
        Self { broker, runs, mesh, clock }
    }
}

//! The ports of one process: a broker, a sink and a ledger, whatever stands behind them.

use std::sync::Arc;

use super::broker::Broker;
use super::ledger::Ledger;
use super::sink::Sink;

/// Adapters of an embedded folder must be shared among the roles of a process: the folder belongs to one opener.
#[derive(Clone)]
pub struct Backends {
    pub broker: Arc<dyn Broker>,
    pub sink: Sink,
    pub ledger: Ledger,
}

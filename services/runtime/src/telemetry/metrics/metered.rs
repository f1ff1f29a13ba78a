//! The ports, measured: each wraps any adapter of its port once, and times every call, the failed and the given up ones too.
//!
//! A call costs two looks at the clock and one observation; its series are looked up at the first call of an operation.
//!
//! Here: a decorator for each port. It may use the port and the metrics; it changes no argument and no answer.

mod broker;
mod call;
mod ledger;
mod sink;

use std::sync::Arc;

use paceline_core::ports::{Broker, Ledger, Sink};

use super::handle::Metrics;
pub use call::as_example_of;

/// Nothing is wrapped while nobody looks.
pub fn broker(broker: Arc<dyn Broker>, metrics: &Metrics) -> Arc<dyn Broker> {
    if metrics.is_on() { Arc::new(broker::MeteredBroker::new(broker, metrics)) } else { broker }
}

pub fn sink(sink: Sink, metrics: &Metrics) -> Sink {
    if metrics.is_on() { sink::metered(sink, metrics) } else { sink }
}

pub fn ledger(ledger: Ledger, metrics: &Metrics) -> Ledger {
    if metrics.is_on() { ledger::metered(ledger, metrics) } else { ledger }
}

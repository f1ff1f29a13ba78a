//! The three services as plain state machines: no time of their own, no tasks, no faults. Each call is one atomic step.
//!
//! Here: what a service knows and does. It may use the language of the house and the ports' values; network, time and faults are elsewhere.

pub mod broker;
pub mod ledger;
pub mod sink;

pub use broker::BrokerModel;
pub use ledger::LedgerModel;
pub use sink::SinkModel;

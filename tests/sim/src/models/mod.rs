//! The three services as plain state machines: no time of their own, no tasks, no faults. Each call is one atomic step.

pub mod broker;
pub mod ledger;
pub mod sink;

pub use broker::BrokerModel;
pub use ledger::LedgerModel;
pub use sink::SinkModel;

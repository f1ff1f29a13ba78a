//! The real ports over the models: what a process of the simulation is handed instead of an adapter.

pub mod broker;
pub mod ledger;
pub mod producer;
pub mod sink;

pub use broker::SimBroker;
pub use ledger::SimLedger;
pub use producer::SimPublisher;
pub use sink::SimSink;

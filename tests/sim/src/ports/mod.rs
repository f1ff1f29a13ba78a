//! The real ports over the models: what a process of the simulation is handed instead of an adapter.
//!
//! Here: a port each, as a call over the simulated network. It may use the models, the network, the laws and the calling process; it keeps
//! no state of a service.

pub mod broker;
pub mod ledger;
pub mod producer;
pub mod sink;

pub use broker::SimBroker;
pub use ledger::SimLedger;
pub use producer::SimPublisher;
pub use sink::SimSink;

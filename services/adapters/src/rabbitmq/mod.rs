//! The broker port over RabbitMQ, 3.10 and later, without plugins.
//!
//! [`publisher`] and [`consumer`] have a connection each, since a broker that blocks publishers stops reading from theirs. A
//! connection and its channels are one epoch ([`link`]): when any of it fails, the next call builds all of it anew.

mod broker;
mod config;
mod consumer;
#[cfg(test)]
mod fake_broker;
#[cfg(test)]
mod fault_tests;
mod inspect;
#[cfg(all(test, feature = "services"))]
mod live_tests;
mod message;
mod publisher;
mod settle;
mod topology;
mod wire;

pub use broker::RabbitBroker;
pub use config::RabbitConfig;

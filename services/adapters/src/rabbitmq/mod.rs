//! The broker port over RabbitMQ, 3.10 and later, without plugins. lapin speaks AMQP.
//!
//! [`publisher`] and [`consumer`] have a connection each, since a broker that blocks publishers stops reading from theirs. A
//! connection and its channels are one epoch ([`crate::link`]): when any of it fails, the next call builds all of it anew.

mod acker;
mod acks;
mod broker;
mod bundle;
mod chunk;
mod config;
mod connection;
mod consumer;
mod endpoint;
mod errors;
#[cfg(test)]
mod fake_broker;
#[cfg(test)]
mod fault_channel_tests;
#[cfg(test)]
mod fault_publish_tests;
#[cfg(test)]
mod fault_tests;
mod frame;
mod guard;
mod incoming;
mod inspect;
#[cfg(all(test, feature = "services"))]
mod live_tests;
mod lock;
mod message;
mod nodes;
mod priority;
mod properties;
mod publisher;
mod settle;
mod singles;
mod socket;
mod topology;
mod transport;

pub use broker::RabbitBroker;
pub use config::RabbitConfig;

//! The broker port over RabbitMQ, 3.10 and later, without plugins. lapin speaks AMQP.
//!
//! [`publisher`] and [`consumer`] have a connection each, since a broker that blocks publishers stops reading from theirs. A
//! connection and its channels are one epoch ([`crate::link`]): when any of it fails, the next call builds all of it anew.
//! [`handshake`] opens a [`connection`] and [`keeper`] watches it; [`guard`] stands between its [`socket`] and lapin. [`names`] and
//! [`topology`] say which queues there are, and [`declared`] remembers which of them were declared.
//!
//! Everything that knows AMQP or RabbitMQ is here. A file may use core, lapin and the files that adapters share; no role and no other
//! service.

mod acker;
mod acks;
mod broker;
mod bundle;
mod chunk;
mod config;
mod connection;
mod consumer;
mod declared;
mod endpoint;
mod errors;
#[cfg(test)]
mod fake_broker;
#[cfg(test)]
mod fake_frames;
#[cfg(test)]
mod fault_channel_tests;
#[cfg(test)]
mod fault_publish_tests;
#[cfg(test)]
mod fault_tests;
mod frame;
mod guard;
mod handshake;
mod incoming;
mod inspect;
mod keeper;
mod lease;
mod limits;
#[cfg(all(test, feature = "services"))]
mod live_tests;
mod lock;
mod message;
mod methods;
mod names;
mod nodes;
mod priority;
mod properties;
mod publisher;
mod publishing;
mod settle;
mod singles;
mod socket;
mod state;
mod topology;
mod transport;

pub use broker::RabbitBroker;
pub use config::RabbitConfig;

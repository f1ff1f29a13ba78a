//! The broker port over one SQLite file: messages in tables, and the messages that consumers hold in memory.
//!
//! Durable is only what must be: ready, delayed and dead messages. What a consumer holds is ready on disk, so the death of
//! the process gives everything back. [`port`] is the port, and [`shared`] is what its parts have in common; [`queue`] hands
//! out, [`store`] keeps, [`settle`] acts on a delivery, [`delays`] brings retries back when they are due.
//!
//! A file may use core and the database beside this folder; nothing here knows ledger or sink.

mod delays;
mod port;
mod queue;
mod settle;
mod shared;
mod store;

pub use port::EmbeddedBroker;

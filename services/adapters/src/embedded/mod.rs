//! The ports in one process over SQLite files, nothing to install; survives `kill -9`. What `paceline dev` runs on.
//!
//! Here: a port each in `broker`, `ledger`, `sink` and `spans`, and [`database`], which each of them writes through. They may use core and
//! SQLite, and not each other.

pub mod broker;
pub mod database;
pub mod ledger;
pub mod sink;
pub mod spans;

pub use broker::EmbeddedBroker;
pub use ledger::EmbeddedLedger;
pub use sink::EmbeddedSink;
pub use spans::EmbeddedSpans;

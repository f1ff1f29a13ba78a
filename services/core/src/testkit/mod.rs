//! For tests of adapters and roles: one conformance suite a port, which every adapter passes.
//!
//! A suite may use its port and the language of the house. It knows no adapter and no role: a harness lends it both.

pub mod broker;
pub mod ledger;
pub mod publisher;
pub mod sink;

//! For tests of adapters and roles: one conformance suite a port, which every adapter passes.

pub mod broker;
pub mod ledger;
pub mod sink;

//! For tests of adapters and roles: one conformance suite a port, which every adapter passes.

pub mod sink;

//! Conformance: the suites of `paceline_core::testkit`, applied to every adapter and to every way to a producer. A folder a port, in it a
//! module a backend. `embedded` always runs; the others need the feature `services` and the services, which `make test` starts.
//!
//! A module here may use the adapters, the sandbox and a suite. It holds the harness, and cases that one backend alone can fail.

mod broker;
mod ledger;
mod publisher;
mod sink;

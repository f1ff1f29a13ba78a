//! The publisher port: a producer in this process and one behind gRPC pass the suite of `paceline_core::testkit::publisher`, on either
//! backend.
//!
//! A file lends the suite one backend; `harness` is what they share. It may use the sandbox and the scheduler's caller, to reach a producer
//! over gRPC.

mod embedded;
mod harness;
#[cfg(feature = "services")]
mod services;

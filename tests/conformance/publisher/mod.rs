//! The publisher port: a producer in this process and one behind gRPC pass the suite of `paceline_core::testkit::publisher`, on either
//! backend.

mod embedded;
mod harness;
#[cfg(feature = "services")]
mod services;

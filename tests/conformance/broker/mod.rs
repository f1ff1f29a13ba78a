//! The broker port: every adapter passes the suite of `paceline_core::testkit::broker`.
//!
//! A file lends the suite one backend, and may have cases that this backend alone can fail.

mod embedded;
#[cfg(feature = "services")]
mod rabbitmq;

//! The sink port: every adapter passes the suite of `paceline_core::testkit::sink`.
//!
//! A file lends the suite one backend, and may have cases that this backend alone can fail.

#[cfg(feature = "services")]
mod elasticsearch;
mod embedded;

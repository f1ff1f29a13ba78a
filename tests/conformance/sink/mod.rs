//! The sink port: every adapter passes the suite of `paceline_core::testkit::sink`.

#[cfg(feature = "services")]
mod elasticsearch;
mod embedded;

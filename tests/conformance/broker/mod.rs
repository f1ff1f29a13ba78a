//! The broker port: every adapter passes the suite of `paceline_core::testkit::broker`.

mod embedded;
#[cfg(feature = "services")]
mod rabbitmq;

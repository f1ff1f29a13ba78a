//! A sandbox for tests: any set of roles, in one process or as processes, on either backend, each mesh with its own queue, index
//! and keys; and what a test watches them with.
//!
//! The sandbox may use every crate of Paceline. The tests in `conformance/` and `e2e/` stand on it; it knows none of them.

pub mod client;
pub mod mesh;
pub mod process;
pub mod proxy;
pub mod receiver;
pub mod role;
pub mod scrape;
pub mod vhost;

pub use client::Client;
pub use mesh::{Backend, Mesh};
pub use role::Role;

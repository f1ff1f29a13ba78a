//! A sandbox for tests: any set of roles in one process, on either backend, each mesh with its own queue, index and keys.
//!
//! [`sim`] is the other one: the same roles over simulated services on virtual time, driven by a seed. It needs no adapter.

#[cfg(feature = "mesh")]
pub mod client;
#[cfg(feature = "mesh")]
pub mod mesh;
#[cfg(feature = "mesh")]
pub mod process;
#[cfg(feature = "mesh")]
pub mod proxy;
#[cfg(feature = "mesh")]
pub mod receiver;
#[cfg(feature = "mesh")]
pub mod scrape;
pub mod sim;
#[cfg(feature = "mesh")]
pub mod vhost;

#[cfg(feature = "mesh")]
pub use client::Client;
#[cfg(feature = "mesh")]
pub use mesh::{Backend, Mesh, Role};

//! A sandbox for tests: any set of roles in one process, on either backend, each mesh with its own queue, index and keys.

pub mod client;
pub mod mesh;
pub mod process;
pub mod proxy;

pub use client::Client;
pub use mesh::{Backend, Mesh, Role};

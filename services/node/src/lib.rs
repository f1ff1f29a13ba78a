//! The one wiring: a [`Node`] builds each role on its ports. A process of one role, `paceline dev`, the bench, the sandbox of the tests and
//! the simulation all start their roles through it, so that a role is put together in one place.
//!
//! In this crate: how roles are put together. It may use every role and the runtime, and no adapter: ports are given to it.
//!
//! The three role crates have one shape, and the same names on purpose: `Config` for the settings of one role, `Ports` for the ports that
//! it needs, and `run(config, ports, listener, shutdown)`. A worker answers no calls and has no listener; a producer's ports are in its
//! handle, which a scheduler in the same process calls too. Here they are read with the crate's name: `paceline_worker::Config`.

mod in_process;
mod node;
mod roles;

pub use in_process::InProcess;
pub use node::{Node, WorkerSetup};
pub use roles::{ProducerRole, SchedulerRole, WorkerRole};

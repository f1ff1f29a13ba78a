//! `paceline scheduler`, `producer` and `worker`: one role in this process, on the configured services.
//!
//! Each command binds its ports, waits for its services and has [`paceline_node::Node`] build the role; [`process`] is what they share.
//!
//! Here: from flags and settings to a running role, and no work of a role. It may use node, runtime and the adapters.

mod arguments;
mod process;
mod producer;
mod scheduler;
mod worker;

pub use arguments::{ProducerArguments, SchedulerArguments, WorkerArguments};
pub use producer::producer;
pub use scheduler::scheduler;
pub use worker::worker;

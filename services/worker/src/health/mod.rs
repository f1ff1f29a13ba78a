//! The readiness of a worker: it hears every queue, and sink and ledger take the jobs that it has done.
//!
//! In this room: everything by which a worker knows that it cannot do its work. It uses the context and the counts; it changes no job.

mod publishes;
mod stall;
mod watch;
mod worker;

pub use publishes::Published;
pub use watch::watch;
pub use worker::WorkerHealth;

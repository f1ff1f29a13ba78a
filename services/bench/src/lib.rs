//! The benchmark behind `paceline bench`: measures Paceline on whatever services the settings name, in a namespace of its own, and
//! proves the run.
//!
//! On services each role is a process of its own, as in production; on embedded adapters, whose files have one opener, every role is in
//! this process. The flow reads downwards: [`command`] is what a person asks for, [`session`] opens the [`stage`], runs one of the
//! [`modes`] and removes the [`namespace`]; a mode starts [`roles`], sends a [`run`](mod@run) through them and puts the [`numbers`] into a [`report`].
//!
//! It may use every crate but the command line, which uses it. That is why little is asked of the caller: [`Setup`] holds the settings, the
//! warnings of the log and a [`Console`] for progress, and the answer is a [`report::BenchReport`] that the caller prints. Channels come
//! from `paceline_runtime::grpc`, connections from `Settings::connections`, where the commands have theirs from too.

mod command;
mod load;
mod modes;
mod namespace;
mod numbers;
pub mod report;
mod roles;
mod run;
mod session;
mod setup;
mod stage;

pub use command::BenchCommand;
pub use load::LoadSetup;
pub use session::{Measured, run};
pub use setup::{Console, Setup};

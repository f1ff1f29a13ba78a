//! The simulation: the real scheduler, producer and worker over in-memory services, on paused time, driven by one seed.
//!
//! A seed draws a [`plan`]: the processes, what the callers ask, and the faults with their times. [`run`] plays it on a
//! runtime of one thread: every call of a port goes over a [`net::Link`], which may lose, delay, repeat or hold it, to a state
//! machine in [`models`]. Each effect is one step of the [`world`]: it is written to the [`trace`], and the [`laws`] look at the
//! result. The same seed gives the same trace, bit for bit. [`seeds`] runs many, [`hunt`] shows that known bugs are found.
//!
//! A module knows only those before it: [`clock`], [`process`], [`storm`], [`trace`], [`at`]; [`mutant`]; [`models`]; [`laws`]; [`past`];
//! [`world`]; [`net`]; [`ports`]; [`mutants`]; [`roles`], [`client`], [`rewind`], [`faults`], [`close`]; [`run`]; [`seeds`], [`hunt`].
//! The crate may use `paceline-core`, `paceline-runtime`, `paceline-node` and the roles, and no adapter.

pub mod at;
pub mod client;
pub mod clock;
pub mod close;
pub mod faults;
pub mod hunt;
pub mod laws;
pub mod models;
pub mod mutant;
pub mod mutants;
pub mod net;
pub mod past;
pub mod plan;
pub mod ports;
pub mod process;
pub mod rewind;
pub mod roles;
pub mod run;
pub mod seeds;
pub mod storm;
pub mod trace;
pub mod world;

pub use laws::Violation;
pub use run::{Outcome, simulate};

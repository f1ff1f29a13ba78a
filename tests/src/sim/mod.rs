//! The simulation: the real scheduler, producer and worker over in-memory services, on paused time, driven by one seed.
//!
//! A seed draws a [`plan`]: which processes there are, what the callers ask, and which faults strike when. [`run`] plays it on a
//! runtime of one thread: every call of a port goes over a [`net::Link`], which may lose, delay, repeat or hold it, to a state
//! machine in [`models`]. Each effect is one step: it is written to the [`trace`] and the [`laws`] look at the result. The same
//! seed gives the same trace, bit for bit. [`seeds`] runs many, [`hunt`] shows that known bugs are found.

pub mod client;
pub mod clock;
pub mod hunt;
pub mod laws;
pub mod models;
pub mod net;
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

pub use run::{Outcome, Violation, simulate};

//! The faults: what they are, which of them a seed says, and how they are done and undone.
//!
//! `blow, victim → plan → strike → node`. Judging what came of them is no matter of this folder.

pub mod blow;
mod node;
pub mod plan;
mod strike;
pub mod victim;

pub use strike::{Struck, strike};

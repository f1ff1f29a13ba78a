//! The laws, as oracles without time and without I/O: each is told of an effect and answers which law the effect breaks.
//!
//! An oracle may look at a model's state and at the language of `paceline-core`. It knows no world, no network and no role.

pub mod broken;
pub mod once;
pub mod oracle;
pub mod ownership;
pub mod pace;
pub mod rewind;

pub use broken::{Broken, Violation};
pub use oracle::Laws;

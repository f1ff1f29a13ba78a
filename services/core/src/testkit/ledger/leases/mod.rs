//! Cases of the leases port: one owner a run, and the owner's steps.
//!
//! A file is a theme, and a case is a function over a harness. It may use all ports of the ledger and the steps of `support`.

mod advancing;
mod groups;
mod owning;

pub use advancing::*;
pub use groups::*;
pub use owning::*;

//! Cases of the leases port: one owner a run, and the owner's steps.

mod advancing;
mod groups;
mod owning;

pub use advancing::*;
pub use groups::*;
pub use owning::*;

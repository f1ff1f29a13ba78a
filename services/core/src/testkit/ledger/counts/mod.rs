//! Cases of the counts port: each job counted once, taken back, and read as of one moment.
//!
//! A file is a theme, and a case is a function over a harness. It may use all ports of the ledger and the steps of `support`.

mod forgetting;
mod recording;
mod snapshot;

pub use forgetting::*;
pub use recording::*;
pub use snapshot::*;

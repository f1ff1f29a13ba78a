//! Cases of the counts port: each job counted once, taken back, and read as of one moment.

mod forgetting;
mod recording;
mod snapshot;

pub use forgetting::*;
pub use recording::*;
pub use snapshot::*;

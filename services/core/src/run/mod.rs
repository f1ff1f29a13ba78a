//! A run: what was asked for, its state, the steps that it may take, and the numbers that people read of it.
//!
//! Here: the values and the rules of a run, all pure. They may use ids, groups, pacing and errors; storing and owning a run is elsewhere.

mod change;
mod kept;
mod record;
mod snapshot;
mod state;

pub use change::{RunChange, check_advance, check_total};
pub use kept::KeptRun;
pub use record::{PAYLOAD_BYTES_MAX, RunRecord, RunSpec, TOTAL_MAX};
pub use snapshot::{RATE_WINDOW_S, Snapshot};
pub use state::RunState;

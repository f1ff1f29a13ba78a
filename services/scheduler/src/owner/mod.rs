//! Owners of runs: each takes a lease, keeps the pace, has ranges published, and walks its run to the end.
//!
//! In this room: everything that happens to a run while nobody asks. It uses the context, the producers and the metrics; of the API it
//! knows nothing.
//!
//! [`supervisor`] takes leases and starts an owner for each run. The owner is one task: [`state`] is what it knows, [`drive`] its loop, and
//! the steps are [`pace`], [`drain`] and [`recover`]. [`dispatch`] has ranges published; [`delivery`] is the way of one range, [`turns`] the
//! order of ranges for a queue that takes nothing. In the background [`backlog`] asks for the length of the queue, [`healer`] looks for
//! jobs that a service lost, [`keeper`] keeps the run in the sink, and [`endings`] keeps its end there. [`signals`] wake owners.

mod backlog;
mod delivery;
mod dispatch;
mod drain;
mod drive;
mod endings;
mod healer;
mod keeper;
mod pace;
mod recover;
mod signals;
mod spans;
mod state;
mod supervisor;
mod turns;

pub use signals::Wakers;
pub use supervisor::supervise;

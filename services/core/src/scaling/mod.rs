//! The number of workers that a queue needs: pure arithmetic on readings that somebody else took, and the words that explain it.
//!
//! Two laws carry it. A worker with so many slots, each taken for `hold` by a job, does slots ÷ hold jobs a second (Little); one that is busy
//! for a share of the time while it does `x` jobs a second can do x ÷ share (utilisation). The lower one is what it can do. Both are measured,
//! so the answer corrects itself: a worker that is full has jobs in hand for longer, and then counts for less.
//!
//! An unknown reading never lowers the answer: it is an error, or the workers that are there are kept ([`decide`](fn@decide)). Who acts on the answer
//! keeps it from flapping in time, with a [`Stabiliser`].
//!
//! The flow: a caller sets an [`Aim`] and takes [`ScaleReadings`], [`decide`](fn@decide) makes a [`Decision`] of them, whose steps it says in words.
//!
//! It may use the values of the ports and the run; it calls no port and reads no clock.

mod aim;
mod decide;
mod explain;
mod readings;
#[cfg(test)]
mod replay_tests;
mod stabiliser;
#[cfg(test)]
mod tests;

pub use aim::{Aim, DRAIN_SECONDS_DEFAULT, JOBS_PER_SECOND_DEFAULT, WORKERS_MAX_DEFAULT};
pub use decide::{Decision, SCALE_IN_MARGIN, UTILISATION, decide};
pub use readings::{Feed, HEARTBEAT_AGE_MS_MAX, ScaleReadings, WorkerReading};
pub use stabiliser::{Stabiliser, WINDOW_MS_DEFAULT};

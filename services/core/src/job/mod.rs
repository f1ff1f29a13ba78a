//! A job on its way: the [`Range`] it is reserved in, the message it travels as, and the checks at both ends.
//!
//! Job `seq` of a run is a pure function of (run spec, range, seq), so any producer can publish a range again.
//!
//! Here: a job's identity, range and bytes. It may use the run, its trace, the ids and the broker's message; it calls no port.

mod body;
mod encoder;
mod range;
#[cfg(test)]
mod tests;

pub use body::{Job, MESSAGE_BYTES_MAX};
pub use encoder::{Encoder, range_jobs};
pub use range::{RANGE_JOBS_MAX, Range};

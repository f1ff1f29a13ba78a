//! The spans of a worker's part of a trace.
//!
//! In this room: the times of a job's steps, and how spans are made of them. It uses the context and the runtime's traces.

mod scribe;
mod way;

pub use scribe::{RetrySpan, Scribe};
pub use way::{Received, Steps, Took, Way};

//! The trace of a job: a pure function of its id, so nobody has to store or carry it.
//!
//! A range that is published twice, a job that is healed and one that is tried again all continue the same trace. The id is XXH3-128 of
//! the jobId (`printf 01k…-17 | xxh128sum` prints it); whether the trace is recorded is decided by the id and the run's rate, by the
//! rule of OpenTelemetry's consistent probability sampling: the last 56 bits, at or above a threshold.
//!
//! Nothing here knows a tracing library: the runtime's telemetry turns a [`span`] into what a receiver takes.
//!
//! Here: ids, contexts, sampling and spans as values. They are made of a job's id and use no other module of the house.

mod context;
mod ids;
mod sampling;
pub mod span;

pub use context::TraceContext;
pub use ids::{SpanId, TraceId};
pub use sampling::{Sampling, TRACES_PER_SECOND_DEFAULT};

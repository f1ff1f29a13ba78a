//! The modes, a file each with its arguments and its measurement.
//!
//! A mode may use the run, the roles, the numbers and the report; none of those knows a mode.

pub mod drain;
pub mod latency;
pub mod pipeline;

pub use drain::DrainArguments;
pub use latency::LatencyArguments;
pub use pipeline::PipelineArguments;

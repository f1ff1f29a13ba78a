//! The metrics of a process: roles take their counters and histograms here once, and keep them; a number that is read only when somebody
//! asks is handed over as a closure. [`admin`](crate::admin) shows all of them at `/metrics`, [`push`] sends them as OTLP.
//!
//! One store a process, shared by the handles of its roles, and nothing outside of it: two meshes in one test have two.
//!
//! [`names`] is the table, [`handle`] is what a role holds, [`cells`] and [`series`] are where numbers come from, [`expose`] shows them.
//!
//! Here: the store of metrics and the ways out of it. It may use core and the telemetry's names; it knows a role only by the names of its
//! metrics.

mod cells;
#[cfg(test)]
mod docs;
mod expose;
mod handle;
pub mod metered;
pub mod names;
mod process;
pub mod push;
mod roles;
mod series;
#[cfg(test)]
mod tests;

pub use cells::Histogram;
pub use expose::CONTENT_TYPE;
pub use handle::Metrics;
/// A count that only grows; a clone is the same one. Adding is one atomic operation.
pub use prometheus_client::metrics::counter::Counter;
pub use series::MetricReadings;

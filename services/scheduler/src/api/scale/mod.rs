//! The number of workers that a queue needs, for whoever starts and stops them.
//!
//! Both services ask one [`question`]: [`service`] for `paceline scale explain` and `paceline worker --autoscale`, [`keda`] for KEDA, whose
//! [`trigger`] says which queue is meant.

mod keda;
mod question;
mod service;
mod trigger;

pub use keda::ExternalScalerApi;
pub use service::ScaleApi;

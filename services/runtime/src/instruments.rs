//! The instruments of one role: how it shows whether it can work, what it records of jobs, and what it measures.

use crate::readiness::Readiness;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::traces::Traces;

/// Every role is given one, and none makes its own: so a test, `paceline dev` and a process of its own see a role in the same way.
#[derive(Clone)]
pub struct Instruments {
    pub readiness: Readiness,
    pub traces: Traces,
    pub metrics: Metrics,
}

impl Instruments {
    /// A readiness that nobody serves; nothing is recorded or measured.
    pub fn off(role: &'static str, id: &str) -> Self {
        Self { readiness: Readiness::new(role, id), traces: Traces::off(), metrics: Metrics::off() }
    }
}

//! The counts of a producer for its metrics.

use paceline_core::ports::broker::Confirm;
use paceline_core::{Error, Result};
use paceline_runtime::telemetry::metrics::{Counter, Metrics, names};

pub struct ProducerMetrics {
    confirmed: Counter,
    unroutable: Counter,
    refused: Counter,
    failed: Counter,
}

impl ProducerMetrics {
    pub fn new(metrics: &Metrics) -> Self {
        let jobs = |result| metrics.counter(&names::PUBLISH_JOBS, &[result]);
        Self {
            confirmed: jobs("confirmed"),
            unroutable: jobs("unroutable"),
            refused: jobs("refused"),
            failed: jobs("failed"),
        }
    }

    /// The broker's answer to a publish of so many jobs.
    pub fn published(&self, jobs: usize, answer: &Result<Vec<Confirm>, Error>) {
        let Ok(confirms) = answer else {
            self.failed.inc_by(jobs as u64);
            return;
        };
        let count = |is_it: fn(&Confirm) -> bool| confirms.iter().filter(|confirm| is_it(confirm)).count() as u64;
        let confirmed = count(|confirm| *confirm == Confirm::Confirmed);
        self.confirmed.inc_by(confirmed);
        if confirmed < confirms.len() as u64 {
            self.unroutable.inc_by(count(|confirm| *confirm == Confirm::Unroutable));
            self.refused.inc_by(count(|confirm| matches!(confirm, Confirm::Refused(_))));
        }
    }
}

//! The ports of the ledger, each measured by itself.

mod counts;
mod leases;
mod mesh;
mod ranges;
mod runs;
mod workers;

use std::sync::Arc;

use paceline_core::ports::Ledger;

use crate::telemetry::metrics::Metrics;

pub fn metered(ledger: Ledger, metrics: &Metrics) -> Ledger {
    Ledger {
        runs: Arc::new(runs::Metered::new(ledger.runs, metrics)),
        leases: Arc::new(leases::Metered::new(ledger.leases, metrics)),
        ranges: Arc::new(ranges::Metered::new(ledger.ranges, metrics)),
        counts: Arc::new(counts::Metered::new(ledger.counts, metrics)),
        workers: Arc::new(workers::Metered::new(ledger.workers, metrics)),
        mesh: Arc::new(mesh::Metered::new(ledger.mesh, metrics)),
    }
}

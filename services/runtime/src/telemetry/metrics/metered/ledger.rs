//! The ports of the ledger, each measured by itself.
//!
//! A file wraps the port of its name. It may use that port and the call of the folder above.

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
        runs: Arc::new(runs::MeteredRuns::new(ledger.runs, metrics)),
        leases: Arc::new(leases::MeteredLeases::new(ledger.leases, metrics)),
        ranges: Arc::new(ranges::MeteredRanges::new(ledger.ranges, metrics)),
        counts: Arc::new(counts::MeteredCounts::new(ledger.counts, metrics)),
        workers: Arc::new(workers::MeteredWorkers::new(ledger.workers, metrics)),
        mesh: Arc::new(mesh::MeteredMesh::new(ledger.mesh, metrics)),
    }
}

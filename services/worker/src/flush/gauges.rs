//! The gauges of a worker: read when somebody asks for them.

use std::sync::{Arc, Mutex};

use paceline_runtime::telemetry::metrics::{Metrics, names};
use tokio::runtime::Handle;

use super::window::SinkWindow;
use crate::health::WorkerHealth;
use crate::metrics::Stats;

/// Shows the gauges for as long as the worker is there.
pub fn show(metrics: &Metrics, stats: &Arc<Stats>, health: &Arc<WorkerHealth>, window: &Arc<Mutex<SinkWindow>>) {
    let (stats, health, window) = (Arc::downgrade(stats), Arc::downgrade(health), Arc::downgrade(window));
    let threads = Handle::try_current().ok().map(|runtime| runtime.metrics().num_workers());
    metrics.read(move |readings| {
        let (Some(stats), Some(health), Some(window)) = (stats.upgrade(), health.upgrade(), window.upgrade()) else {
            return;
        };
        readings.add(&names::JOBS_HELD, &[], Stats::get(&stats.held));
        readings.add(&names::STALLS, &[], Stats::get(&stats.stalled));
        readings.add(&names::SINK_IN_FLIGHT, &[], stats.metrics.requests());
        if let Ok(window) = window.lock() {
            readings.add(&names::SINK_WINDOW, &[], window.in_flight());
        }
        let group = health.group.as_str();
        health.open().for_each(|(queue, open)| readings.add(&names::CONSUMERS_OPEN, &[queue, group], open));
        if let Some(threads) = threads {
            readings.add(&names::WORKER_THREADS, &[], threads);
        }
    });
}

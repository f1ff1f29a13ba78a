//! Announces the worker and its numbers to the ledger, and takes it off the list at a graceful stop.

use std::collections::BTreeMap;
use std::time::Duration;

use paceline_core::ports::workers::WorkerInfo;
use paceline_runtime::lifecycle::Shutdown;

use crate::context::Context;
use crate::health::WorkerHealth;
use crate::metrics::{Meter, Stats};

const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(1);
/// A worker that is silent for this long is gone.
pub const HEARTBEAT_TTL: Duration = Duration::from_secs(10);

/// Announces the worker until `stopped`, then once more with the last numbers: the list shows them until the heartbeat runs out. `stopping`
/// is told meanwhile.
pub async fn announce(
    context: &Context,
    stats: &Stats,
    health: &WorkerHealth,
    stopping: &Shutdown,
    stopped: &Shutdown,
) {
    let started_at_ms = context.ports.clock.wall_ms();
    let mut meter = Meter::new(context.config.consumers as u64 * u64::from(context.config.prefetch));
    let mut was_away = false;
    loop {
        let loads = meter.look(stats.metrics.hands(), context.ports.clock.wall_ms());
        let (busy, is_stopping) = (meter.busy(), stopping.is_triggered());
        let info = WorkerInfo { loads, busy, is_stopping, ..info(context, stats, started_at_ms) };
        let beat = health.ledger.observe(context.ports.workers.announce(&info, HEARTBEAT_TTL)).await;
        match &beat {
            Err(error) if !was_away => tracing::warn!(%error, "heartbeat not written"),
            _ => (),
        }
        was_away = beat.is_err();
        if stopped.or(tokio::time::sleep(HEARTBEAT_INTERVAL)).await.is_none() {
            break;
        }
    }
}

/// Ends the announcement; best effort, the heartbeat runs out by itself.
pub async fn forget(context: &Context) {
    if let Err(error) = context.ports.workers.forget(&context.config.id).await {
        tracing::debug!(%error, "worker not taken off the list");
    }
}

fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname");
    name.map(|name| name.trim().to_owned()).unwrap_or_default()
}

fn info(context: &Context, stats: &Stats, started_at_ms: i64) -> WorkerInfo {
    WorkerInfo {
        worker_id: context.config.id.clone(),
        version: context.config.version.into(),
        queue: context.config.queues.keys().cloned().collect::<Vec<_>>().join(","),
        group: context.config.group.clone(),
        host: host(),
        pid: std::process::id(),
        started_at_ms,
        heartbeat_at_ms: context.ports.clock.wall_ms(),
        age_ms: 0,
        processed: Stats::get(&stats.processed),
        dead: Stats::get(&stats.dead),
        retried: Stats::get(&stats.retried),
        held: Stats::get(&stats.held),
        stalled: Stats::get(&stats.stalled),
        loads: BTreeMap::new(),
        busy: None,
        is_stopping: false,
        batches: Stats::get(&stats.batches),
        batched_documents: Stats::get(&stats.batched_documents),
        stored_latency: stats.stored_latency(),
    }
}

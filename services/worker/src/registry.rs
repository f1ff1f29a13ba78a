//! Announces the worker and its numbers to the ledger, and takes it off the list at a graceful stop.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use paceline_core::ports::ledger::WorkerInfo;
use paceline_runtime::lifecycle::Shutdown;

use crate::Config;
use crate::health::Health;
use crate::load::Meter;
use crate::stats::Stats;

const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(1);
/// A worker that is silent for this long is gone.
pub const HEARTBEAT_TTL: Duration = Duration::from_secs(10);

/// Until `stopped`, then once more with the last numbers: the list shows them until the heartbeat runs out.
pub async fn announce(
    config: Arc<Config>,
    stats: Arc<Stats>,
    health: Arc<Health>,
    (stopping, stopped): (Shutdown, Shutdown),
) {
    let started_at_ms = config.clock.wall_ms();
    let mut meter = Meter::new(config.consumers as u64 * u64::from(config.prefetch));
    let mut was_away = false;
    loop {
        let loads = meter.look(stats.measured.hands(), config.clock.wall_ms());
        let (busy, is_stopping) = (meter.busy(), stopping.is_triggered());
        let info = WorkerInfo { loads, busy, is_stopping, ..info(&config, &stats, started_at_ms) };
        let beat = health.ledger.observe(config.ledger.heartbeat(&info, HEARTBEAT_TTL)).await;
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
pub async fn forget(config: &Config) {
    if let Err(error) = config.ledger.forget_worker(&config.id).await {
        tracing::debug!(%error, "worker not taken off the list");
    }
}

fn info(config: &Config, stats: &Stats, started_at_ms: i64) -> WorkerInfo {
    WorkerInfo {
        worker_id: config.id.clone(),
        version: config.version.into(),
        queue: config.queues.keys().cloned().collect::<Vec<_>>().join(","),
        group: config.group.clone(),
        host: std::fs::read_to_string("/proc/sys/kernel/hostname")
            .map(|name| name.trim().to_owned())
            .unwrap_or_default(),
        pid: std::process::id(),
        started_at_ms,
        heartbeat_at_ms: config.clock.wall_ms(),
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

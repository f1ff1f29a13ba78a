//! Notices, on waking up, that this worker did not run for a while: stopped by a signal, a frozen machine, a handler that
//! blocks its thread. The broker may have given its jobs to others by then.
//!
//! Correctness does not hang on it: what a lost consumer held settles nothing, the ledger counts a job once, the sink refuses
//! an older attempt. It is counted, and red until the consumers are known to be alive.

use std::time::Duration;

use tokio::time::Instant;

use crate::Config;
use crate::health::Health;
use crate::stats::Stats;

/// A worker that did not run for this long was stalled.
const STALL: Duration = Duration::from_secs(3);
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// For ever.
pub async fn watch(config: &Config, stats: &Stats, health: &Health) {
    health.stalled.set_ok();
    tokio::join!(notice(config, stats, health), recover(config, health));
}

async fn notice(config: &Config, stats: &Stats, health: &Health) {
    loop {
        let slept_at = Instant::now();
        tokio::time::sleep(LOOK_INTERVAL).await;
        let away_ms = slept_at.elapsed().saturating_sub(LOOK_INTERVAL).as_millis();
        if away_ms >= STALL.as_millis() {
            Stats::add(&stats.stalled, 1);
            let held = Stats::get(&stats.held);
            tracing::warn!(
                worker = config.id,
                away_ms,
                held,
                "stalled: this worker did not run, its jobs may be others' now"
            );
            health
                .stalled
                .set_failed(format!("it did not run for {away_ms} ms; looking whether its consumers are open"));
        }
    }
}

/// The connection answers again, or a new one does, and every queue has a consumer.
async fn recover(config: &Config, health: &Health) {
    loop {
        tokio::time::sleep(LOOK_INTERVAL).await;
        if !health.stalled.is_ok() && config.broker.check().await.is_ok() && health.hears_every_queue() {
            health.stalled.set_ok();
        }
    }
}

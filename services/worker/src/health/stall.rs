//! Notices, on waking up, that this worker did not run for a while: stopped by a signal, a frozen machine, a handler that
//! blocks its thread. The broker may have given its jobs to others by then.
//!
//! Correctness does not hang on that: the deliveries of a lost consumer settle nothing, the ledger counts a job once, the sink refuses an
//! older attempt. A stall is counted, and the worker is not ready until its consumers are known to be alive.

use std::time::Duration;

use tokio::time::Instant;

use super::worker::WorkerHealth;
use crate::context::Context;
use crate::metrics::Stats;

/// A worker that did not run for this long was stalled.
const STALL: Duration = Duration::from_secs(3);
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// Watches for stalls and for the recovery from them. Never returns.
pub async fn watch(context: &Context, stats: &Stats, health: &WorkerHealth) {
    health.stalled.set_ok();
    tokio::join!(notice(context, stats, health), recover(context, health));
}

async fn notice(context: &Context, stats: &Stats, health: &WorkerHealth) {
    loop {
        let slept_at = Instant::now();
        tokio::time::sleep(LOOK_INTERVAL).await;
        let away_ms = slept_at.elapsed().saturating_sub(LOOK_INTERVAL).as_millis();
        if away_ms >= STALL.as_millis() {
            Stats::add(&stats.stalled, 1);
            let held = Stats::get(&stats.held);
            tracing::warn!(
                worker = context.config.id,
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
async fn recover(context: &Context, health: &WorkerHealth) {
    loop {
        tokio::time::sleep(LOOK_INTERVAL).await;
        if !health.stalled.is_ok() && context.ports.broker.check().await.is_ok() && health.hears_every_queue() {
            health.stalled.set_ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stubs::{self, SilentBroker};
    use std::sync::Arc;
    use std::sync::atomic::Ordering;

    /// A jump of paused time is what a stopped process sees: the clock went on, its tasks did not.
    #[tokio::test(start_paused = true)]
    async fn a_jump_is_a_stall_and_red_until_the_broker_answers_and_the_queue_is_heard() {
        let broker = Arc::new(SilentBroker::default());
        let (context, stats, health) = stubs::worker("default", broker.clone());
        health.opened("default");
        let watching = watch(&context, &stats, &health);
        let story = async {
            tokio::time::sleep(LOOK_INTERVAL * 20).await;
            assert!(health.stalled.is_ok() && Stats::get(&stats.stalled) == 0, "sleeping is no stall");
            tokio::time::advance(STALL - LOOK_INTERVAL).await;
            settle().await;
            assert_eq!(Stats::get(&stats.stalled), 0, "a hiccup is none");

            broker.is_away.store(true, Ordering::Relaxed);
            health.closed("default", "connection lost");
            tokio::time::advance(STALL + LOOK_INTERVAL * 2).await;
            settle().await;
            assert!(Stats::get(&stats.stalled) == 1 && !health.stalled.is_ok());
            tokio::time::sleep(LOOK_INTERVAL * 3).await;
            broker.is_away.store(false, Ordering::Relaxed);
            tokio::time::sleep(LOOK_INTERVAL * 3).await;
            assert!(!health.stalled.is_ok(), "it hears nothing yet");
            health.opened("default");
            tokio::time::sleep(LOOK_INTERVAL * 3).await;
            assert!(health.stalled.is_ok());
            assert_eq!(Stats::get(&stats.stalled), 1);
        };
        tokio::select! { biased; () = watching => (), () = story => () }
    }

    async fn settle() {
        tokio::task::yield_now().await;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

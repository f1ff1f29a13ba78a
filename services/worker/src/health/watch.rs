//! Asks for what consumers, flusher and heartbeat cannot see because nothing is to be done.

use std::time::Duration;

use paceline_runtime::lifecycle::Shutdown;

use super::stall;
use super::worker::WorkerHealth;
use crate::context::Context;
use crate::metrics::Stats;

/// The pause between two checks of broker and sink; the sink is checked only while nothing is in flight to it.
const CHECK_INTERVAL: Duration = Duration::from_secs(2);

/// Asks the services, watches for stalls, follows the readiness. Never returns.
pub async fn watch(health: &WorkerHealth, context: &Context, stats: &Stats, shutdown: &Shutdown) {
    tokio::join!(
        health.broker.keep_checking(CHECK_INTERVAL, || context.ports.broker.check()),
        look_at_publishes(health, context),
        check_idle_sink(health, context),
        stall::watch(context, stats, health),
        health.readiness.follow(shutdown, async |_| ()),
    );
}

async fn look_at_publishes(health: &WorkerHealth, context: &Context) {
    loop {
        tokio::time::sleep(CHECK_INTERVAL).await;
        health.publishes.look(&*context.ports.broker);
    }
}

async fn check_idle_sink(health: &WorkerHealth, context: &Context) {
    loop {
        tokio::time::sleep(CHECK_INTERVAL).await;
        if !health.is_storing() {
            // The condition has heard it.
            _ = health.sink.observe(context.ports.sink.check()).await;
        }
    }
}

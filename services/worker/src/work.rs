//! A worker at work: consumers and flusher side by side, until a stop has settled everything or its grace is over.

use std::sync::Arc;
use std::time::Duration;

use paceline_core::backoff::Backoff;
use paceline_runtime::lifecycle::Shutdown;
use tokio::sync::mpsc;

use crate::context::Context;
use crate::flush::Flusher;
use crate::health::{self, WorkerHealth};
use crate::intake::{self, Intake};
use crate::metrics::Stats;
use crate::registry;

/// The longest pause between two tries to prepare the sink.
const PREPARE_DELAY_MAX: Duration = Duration::from_secs(2);

pub struct RunningWorker {
    pub context: Arc<Context>,
    pub stats: Arc<Stats>,
    pub health: Arc<WorkerHealth>,
    /// No job is taken any more.
    pub shutdown: Shutdown,
    /// A fault struck: nothing is done any more.
    pub crashed: Shutdown,
    /// Nothing is held any more, or the grace is over.
    pub settled: Shutdown,
}

impl RunningWorker {
    /// Makes sure that documents have a place. A sink that is away is waited for, and said.
    pub async fn prepare(&self) {
        let mut backoff = Backoff::new(PREPARE_DELAY_MAX / 2, PREPARE_DELAY_MAX);
        let sink = &self.context.ports.sink;
        while let Some(Err(error)) = self.shutdown.or(self.health.sink.observe(sink.prepare())).await {
            tracing::warn!(%error, code = %error.code, "waiting for the sink");
            self.shutdown.or(backoff.wait()).await;
        }
    }

    /// Works until everything is settled after the shutdown, the grace is over, or a fault strikes.
    pub async fn work(&self) {
        // Bounded by what the broker hands out: every entry is an unsettled delivery.
        let (ended, queue) = mpsc::channel(self.context.config.held_max());
        let (context, stats, health) = (self.context.clone(), self.stats.clone(), self.health.clone());
        let flusher = Flusher::new(context.clone(), stats.clone(), health.clone(), self.crashed.clone());
        let intake = Intake { context, stats, health, endings: Arc::default(), ended };
        let consuming = intake::consume(intake, self.shutdown.clone(), self.crashed.clone());
        // The flusher's channel closes when the last consumer has ended, so the flusher ends after everything is settled.
        let flushing = flusher.run(queue);
        tokio::select! {
            // Work that is done by the end of the grace is done.
            biased;
            ((), ()) = async { tokio::join!(consuming, flushing) } => (),
            () = self.overdue() => tracing::warn!("the grace is over; jobs that are still held go back to their queue"),
        }
        self.settled.trigger();
    }

    async fn overdue(&self) {
        self.shutdown.triggered().await;
        tokio::time::sleep(self.context.config.grace).await;
    }

    /// Tells the ledger of this worker until everything is settled.
    pub async fn announce(&self) {
        registry::announce(&self.context, &self.stats, &self.health, &self.shutdown, &self.settled).await;
    }

    /// Keeps the readiness true until everything is settled.
    pub async fn watch(&self) {
        self.settled.or(health::watch(&self.health, &self.context, &self.stats, &self.shutdown)).await;
    }
}

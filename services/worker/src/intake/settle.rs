//! Deliveries whose handler has answered: an ended job goes to the flusher, a failed attempt into the delay queue.

use std::sync::Arc;

use paceline_core::Result;
use paceline_core::ports::broker::Delivery;
use tokio::sync::mpsc;

use super::endings::ConsumerEndings;
use super::hold::{HeldJob, Hold};
use crate::context::Context;
use crate::execution::{Executed, FailedAttempt};
use crate::health::{Published, WorkerHealth};
use crate::metrics::{DeathClass, QueueMetrics, Stats};
use crate::spans::{RetrySpan, Scribe};

/// Everything that the consumers of a worker share.
#[derive(Clone)]
pub struct Intake {
    pub context: Arc<Context>,
    pub stats: Arc<Stats>,
    pub health: Arc<WorkerHealth>,
    pub endings: Arc<ConsumerEndings>,
    /// The way of ended jobs to the flusher.
    pub ended: mpsc::Sender<HeldJob>,
}

impl Intake {
    /// Settles a delivery that needs no document, or hands its job over to the flusher.
    pub(super) async fn settle_now(self, executed: Executed, hold: Hold) {
        let (what, settled) = match executed {
            Executed::Ended(execution) => return self.hand_over(HeldJob { execution, hold }).await,
            Executed::Retry(failed) => (Published::Retry, self.retry(*failed, hold.queue()).await),
            Executed::Unreadable { delivery, reason } => {
                (Published::DeadLetter, bury_unreadable(delivery, reason, hold.queue()).await)
            }
        };
        self.health.publishes.tried(what, &settled);
        if settled.is_err() {
            hold.end_consumer();
        }
    }

    pub(super) async fn hand_over(&self, held: HeldJob) {
        // The flusher outlives its senders unless the worker dies; then the delivery comes back by itself.
        _ = self.ended.send(held).await;
    }

    /// Puts the next attempt into the delay queue.
    async fn retry(&self, failed: FailedAttempt, queue: &QueueMetrics) -> Result<()> {
        let FailedAttempt { mut delivery, run, after, reason, class, queue: name, way } = failed;
        let (id, scribe) = (delivery.message.id.clone(), Scribe::of(&self.context));
        tracing::debug!(%run, job = id, trace = %way.trace, attempt = delivery.message.attempt, reason, "retry");
        Stats::add(&self.stats.retried, 1);
        let next = scribe.next_attempt(&way);
        delivery.message.traceparent = next.map(|context| context.to_string()).or(delivery.message.traceparent);
        // The next attempt waits from now on.
        delivery.message.timestamp_ms = self.context.ports.clock.wall_us() / 1000;
        let settled = delivery.retry(after).await;
        let now_us = self.context.ports.clock.wall_us();
        let is_traced = match (&settled, next) {
            (Ok(()), Some(next)) => {
                let retry = RetrySpan { job_id: &id, queue: &name, reason: &reason, next, delay: after, now_us };
                scribe.retried(&way, &retry)
            }
            _ => false,
        };
        queue.executed(way.took(), is_traced.then_some((way.trace, now_us)));
        match &settled {
            Ok(()) => queue.retried(class),
            Err(error) => {
                tracing::warn!(%run, job = id, trace = %way.trace, %error, code = %error.code, "a retry is not settled; its consumer is made anew, so that it comes back");
            }
        }
        settled
    }
}

/// A message that is no job goes to the dead queue, without a document.
async fn bury_unreadable(delivery: Delivery, reason: String, queue: &QueueMetrics) -> Result<()> {
    let message = delivery.message.id.clone();
    tracing::warn!(message, reason, "not a job; to the dead queue");
    let settled = delivery.dead(reason).await;
    match &settled {
        Ok(()) => queue.died(DeathClass::NotUnderstood),
        Err(error) => {
            tracing::warn!(message, %error, code = %error.code, "a message is not settled; its consumer is made anew, so that it comes back");
        }
    }
    settled
}

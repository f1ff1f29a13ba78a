//! The last step of a batch: each delivery is acknowledged, or its message goes to the dead queue (L4).

use paceline_core::document::Document;
use paceline_core::ports::broker::Delivery;

use super::batch::DocumentBatch;
use super::flusher::Flusher;
use crate::context::Context;
use crate::execution::Execution;
use crate::health::{Published, WorkerHealth};
use crate::intake::{HeldJob, Hold};
use crate::spans::{Scribe, Steps, Way};

impl Flusher {
    /// Acks at once. A dead queue that takes nothing holds back its own messages, and no other batch.
    pub(super) fn settle(&self, batch: DocumentBatch, steps: Steps) {
        while self.dead_letters().try_join_next().is_some() {}
        let settled_us = self.context.ports.clock.wall_us();
        for (document, held) in batch.documents.into_iter().zip(batch.held) {
            let HeldJob { execution: Execution { delivery, dead, mut way, .. }, hold } = held;
            match dead {
                None => {
                    delivery.ack();
                    Scribe::of(&self.context).settled(&document, &mut way, steps, settled_us);
                }
                Some(death) => {
                    let letter = DeadLetter { delivery, reason: death.reason, document, way, steps, hold };
                    let (context, health) = (self.context.clone(), self.health.clone());
                    self.dead_letters().spawn(async move { letter.bury(&context, &health).await });
                }
            }
        }
    }
}

/// The message of a dead job, with all that its end needs.
struct DeadLetter {
    delivery: Delivery,
    reason: String,
    document: Document,
    way: Way,
    steps: Steps,
    hold: Hold,
}

impl DeadLetter {
    /// Puts the message into the dead queue. A message that is not settled comes back, and has its end then.
    async fn bury(mut self, context: &Context, health: &WorkerHealth) {
        let settled = self.delivery.dead(self.reason).await;
        health.publishes.tried(Published::DeadLetter, &settled);
        let document = &self.document;
        match settled {
            Ok(()) => {
                Scribe::of(context).settled(document, &mut self.way, self.steps, context.ports.clock.wall_us());
            }
            Err(error) => {
                let (run, trace) = (&document.run_id, document.trace_id.as_deref());
                tracing::warn!(%run, job = document.job_id, trace, %error, "a dead job's message is not settled; its consumer is made anew");
                self.hold.end_consumer();
            }
        }
    }
}

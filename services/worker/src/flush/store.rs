//! The first step of a batch: into the sink, with a verdict for each document.
//!
//! A sink that is away is tried until it is back; meanwhile nothing is acknowledged, so prefetch bounds the jobs that are held.

use std::time::Duration;

use paceline_core::ports::documents::Verdict;
use paceline_runtime::telemetry::metrics::metered::as_example_of;

use super::batch::DocumentBatch;
use super::flusher::Flusher;
use crate::metrics::Stats;
use crate::spans::Scribe;

impl Flusher {
    /// One request with as many documents as the window allows. Answers the jobs that are stored, and a pause if the sink is overloaded or
    /// away. A document that the sink cannot take now stays in `pending`; a document that it will never take stays there as a dead one,
    /// with the sink's reason.
    pub(super) async fn store(&self, pending: &mut DocumentBatch) -> (DocumentBatch, Option<Duration>) {
        let rest = pending.split_off(self.window().batch());
        let mut stored = DocumentBatch::default();
        let sent = pending.documents.len();
        let answer = {
            let _counted = self.stats.metrics.request(sent);
            let storing = self.health.sink.unless_late(self.context.ports.sink.upsert(&pending.documents));
            as_example_of(Scribe::of(&self.context).example(pending.ways()), storing).await
        };
        let pause = match answer {
            Ok(verdicts) if verdicts.len() == sent => self.take_verdicts(verdicts, pending, &mut stored),
            Ok(verdicts) => {
                let answered = verdicts.len();
                tracing::error!(answered, sent, "the sink answered for another number of documents");
                Some(Duration::ZERO)
            }
            Err(error) => {
                self.health.sink.set_failed(error.message.clone());
                tracing::warn!(%error, code = %error.code, documents = sent, "storing again");
                self.prepare_again().await;
                Some(error.retry_after.unwrap_or_default())
            }
        };
        pending.append(rest);
        (stored, pause)
    }

    fn take_verdicts(
        &self,
        verdicts: Vec<Verdict>,
        sent: &mut DocumentBatch,
        stored: &mut DocumentBatch,
    ) -> Option<Duration> {
        self.health.judged(&verdicts);
        self.stats.metrics.judged(&verdicts);
        Stats::add(&self.stats.batches, 1);
        Stats::add(&self.stats.batched_documents, verdicts.len());
        if verdicts.iter().all(|verdict| *verdict == Verdict::Stored) {
            self.window().accepted();
            stored.append(std::mem::take(sent));
            return None;
        }
        sent.split(verdicts, stored)
    }

    /// A sink that was away may have come back empty: without its template it would take documents in any shape.
    async fn prepare_again(&self) {
        if let Err(error) = self.context.ports.sink.prepare().await {
            tracing::debug!(%error, "the sink is not prepared yet");
        }
    }
}

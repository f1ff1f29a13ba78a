//! The second step of a batch: counted in the ledger.

use paceline_core::backoff::Backoff;
use paceline_core::document::{Document, Status};
use paceline_core::ports::counts::{EndedJob, Recorded};
use paceline_runtime::telemetry::metrics::metered::as_example_of;

use super::batch::DocumentBatch;
use super::flusher::{Flusher, RETRY_DELAY_MAX, RETRY_DELAY_MIN};
use crate::intake::HeldJob;
use crate::metrics::Stats;
use crate::spans::Scribe;

impl Flusher {
    /// Counts the jobs of a batch, each once per group (L1, L2). A ledger that is away is tried until it is back.
    pub(super) async fn count(&self, batch: &DocumentBatch) {
        let ended: Vec<EndedJob> = batch.documents.iter().map(ended).collect();
        let recorded = self.record(batch, &ended).await;
        self.stats.metrics.recorded(&recorded);
        if recorded.foreign > 0 {
            tracing::warn!(
                jobs = recorded.foreign,
                "stored jobs that no run has reserved; `paceline verify` names them"
            );
        }
        let now_ms = self.context.ports.clock.wall_ms();
        self.stats.stored(now_ms, batch.documents.iter().map(|document| document.scheduled_at));
        let dead = batch.held.iter().filter(|held| held.execution.dead.is_some()).count();
        Stats::add(&self.stats.dead, dead);
        Stats::add(&self.stats.processed, ended.len() - dead);
        self.measure(batch);
    }

    async fn record(&self, batch: &DocumentBatch, ended: &[EndedJob]) -> Recorded {
        let (counts, config) = (&self.context.ports.counts, &self.context.config);
        let mut backoff = Backoff::new(RETRY_DELAY_MIN, RETRY_DELAY_MAX);
        loop {
            let recording = self.health.ledger.observe(counts.record(&config.group, &config.id, ended));
            match as_example_of(Scribe::of(&self.context).example(batch.ways()), recording).await {
                Ok(recorded) => return recorded,
                Err(error) => {
                    tracing::warn!(%error, code = %error.code, jobs = ended.len(), "counting again");
                    backoff.wait().await;
                }
            }
        }
    }

    /// Observes the jobs that are counted. One of those whose traces are sampled, if one is, is the example of its buckets.
    fn measure(&self, batch: &DocumentBatch) {
        let (scribe, now_us) = (Scribe::of(&self.context), self.context.ports.clock.wall_us());
        let mut has_example = false;
        for (document, HeldJob { execution, hold }) in batch.documents.iter().zip(&batch.held) {
            let is_example = !has_example && scribe.keeps(document, &execution.way, now_us);
            has_example |= is_example;
            let example = is_example.then_some((execution.way.trace, now_us));
            let end_to_end_us = now_us.saturating_sub(document.scheduled_at.saturating_mul(1_000)).max(0);
            hold.queue().executed(execution.way.took(), example);
            hold.queue().ended(execution.dead.as_ref().map(|death| death.class), end_to_end_us as f64 / 1e6, example);
        }
    }
}

fn ended(document: &Document) -> EndedJob {
    EndedJob { run: document.run_id.clone(), seq: document.seq, dead: document.status == Status::Dead }
}

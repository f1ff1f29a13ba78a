//! The way back of an owner to its run: after an error, a takeover, or a ledger that went back in time.

use std::time::Duration;

use paceline_core::clock::nanos;
use paceline_core::error::Result;
use paceline_core::job::{Encoder, range_jobs};
use paceline_core::pacing::Pacer;
use paceline_core::run::{KeptRun, RunRecord, RunState};

use super::state::{KnownRun, Next, Owner};

impl Owner {
    /// Believes the ledger: ranges that are reserved there are sent (again, if need be), and the pacer goes on from the ledger's cursor.
    pub(super) async fn resync(&mut self, known: &mut Option<KnownRun>) -> Result<Next> {
        let found = self.context.ports.ledger.runs.find(&self.run).await?;
        if let Some(record) = &found {
            if known.is_none() {
                self.choose_traces(record);
                self.metrics.knows(record);
                self.dispatcher.set_message_bytes(Encoder::new(&record.spec).message_bytes_max() as u64);
            }
            self.submit_outstanding().await?;
        }
        match (known, found) {
            (Some(known), Some(record)) => return self.follow(known, record).await,
            (Some(known), None) => {
                let own = known.kept();
                return self.restore(known, own).await;
            }
            (known @ None, Some(record)) => *known = Some(self.take_up(record)),
            (None, None) => return Err(self.vanished()),
        }
        Ok(Next::Sleep(Duration::ZERO))
    }

    async fn follow(&mut self, known: &mut KnownRun, record: RunRecord) -> Result<Next> {
        if let Some(kept) = self.ahead(known, &record) {
            return self.restore(known, kept).await;
        }
        known.pacer.skip_to(record.cursor);
        self.apply(known, record);
        Ok(Next::Sleep(Duration::ZERO))
    }

    fn take_up(&self, record: RunRecord) -> KnownRun {
        let range_jobs = range_jobs(&record.spec);
        let (pacer, as_of_ms) = (self.pacer(&record), self.context.ports.clock.wall_ms());
        KnownRun { pacer, record, as_of_ms, range_jobs }
    }

    /// The knowledge of this owner or of the sink, if it is beyond `record`: then the ledger went back in time.
    pub(super) fn ahead(&mut self, known: &KnownRun, record: &RunRecord) -> Option<KeptRun> {
        let own = known.kept();
        let kept = self.keeper.look(&self.context, record);
        Some(own).filter(|own| own.is_ahead_of(record)).or(kept)
    }

    /// Brings the ledger back to `kept`: the jobs between are counted or sent again when the run drains.
    pub(super) async fn restore(&mut self, known: &mut KnownRun, kept: KeptRun) -> Result<Next> {
        tracing::warn!(run = %self.run, cursor = kept.cursor, revision = kept.revision, "the ledger went back in time; restoring the run");
        let is_own = kept.cursor == known.pacer.cursor() && kept.revision == known.record.revision;
        let record = self.context.ports.ledger.runs.restore(&kept.reopened()).await?;
        if !is_own {
            // This pacer's credit began at an older moment.
            known.pacer = self.pacer(&record);
        }
        self.apply(known, record);
        self.submit_outstanding().await?;
        Ok(Next::Sleep(Duration::ZERO))
    }

    /// Tells the ledger what this owner knows of the run: a lease is also lost when the ledger went back in time, and then the next owner
    /// may not know it.
    pub(super) async fn leave_word(&self, known: Option<KnownRun>) {
        let Some(own) = known.map(|known| known.kept()) else { return };
        let left = match self.context.ports.ledger.runs.find(&self.run).await {
            Ok(Some(record)) if !own.is_ahead_of(&record) => return,
            Ok(_) => self.context.ports.ledger.runs.restore(&own.reopened()).await.map(drop),
            Err(error) => Err(error),
        };
        if let Err(error) = left {
            tracing::info!(run = %self.run, %error, "could not tell the ledger what is known of the run");
        }
    }

    pub(super) async fn submit_outstanding(&mut self) -> Result<()> {
        for range in self.context.ports.ledger.ranges.outstanding(&self.run).await? {
            self.dispatcher.submit(range);
        }
        Ok(())
    }

    /// The pacer of a run that is taken up: the time since its state was stored is a hiccup or an outage.
    fn pacer(&self, record: &RunRecord) -> Pacer {
        let now_ns = self.context.ports.clock.monotonic_ns();
        let (spec, pacing) = (&record.spec, record.pacing);
        let mut pacer = Pacer::resume(spec.rate, spec.total, spec.catch_up, record.cursor, pacing, now_ns);
        if record.state == RunState::Running {
            let as_of_ms = if pacing.as_of_ms == 0 { spec.created_at_ms } else { pacing.as_of_ms };
            // A wall clock that was set back earns nothing.
            let away_ms = u64::try_from(self.context.ports.clock.wall_ms() - as_of_ms).unwrap_or(0);
            pacer.absorb_downtime(nanos(Duration::from_millis(away_ms)));
        } else {
            pacer.pause(now_ns);
        }
        pacer
    }
}

//! How an owner finds its run again: after an error, a takeover, a ledger that went back in time, or a queue that lost jobs.

use std::time::Duration;

use paceline_core::clock::nanos;
use paceline_core::error::codes;
use paceline_core::error::{Error, Result};
use paceline_core::job::{Encoder, range_jobs};
use paceline_core::pacing::Pacer;
use paceline_core::run::{KeptRun, RunRecord, RunSpec, RunState, Snapshot};

use crate::healer::Healer;

use super::{DRAIN_POLL, Known, Next, Owner, skip_to};

impl Owner {
    /// Sends what is missing on the way to the end: ranges that this owner does not know, and what a service has lost.
    pub(super) async fn wait_for_drain(&mut self, snapshot: &Snapshot, group: &str) -> Result<Next> {
        if snapshot.ranges_outstanding == 0 {
            self.send_lost(snapshot, group, snapshot.enqueued);
        } else if self.dispatcher.is_idle() {
            // A reservation took effect after this owner had given up on it and read the run again.
            self.submit_outstanding().await?;
        }
        Ok(Next::Sleep(DRAIN_POLL))
    }

    /// The same for a run that goes on, looked at from time to time.
    pub(super) async fn heal(&mut self, known: &Known) -> Result<()> {
        if known.record.state.is_draining() {
            return Ok(());
        }
        for group in known.record.spec.groups.iter() {
            if self.healer(group).is_due() {
                let confirmed_below = self.dispatcher.confirmed_below(known.pacer.cursor());
                let snapshot = self.snapshot(group).await?;
                self.send_lost(&snapshot, group, confirmed_below);
            }
        }
        Ok(())
    }

    fn healer(&mut self, group: &str) -> &mut Healer {
        self.healers.entry(group.to_owned()).or_insert_with(|| Healer::new(group))
    }

    fn send_lost(&mut self, snapshot: &Snapshot, group: &str, end: u64) {
        let context = self.context.clone();
        let lost = self.healer(group).look(&context, snapshot, end);
        let jobs: u64 = lost.iter().map(|range| range.count).sum();
        if jobs > 0 {
            self.measured.healed(jobs);
        }
        lost.into_iter().for_each(|range| self.dispatcher.submit(range));
    }

    /// What this owner or the sink knows of the run beyond `record`: then the ledger went back in time.
    pub(super) fn ahead(&mut self, known: &Known, record: &RunRecord) -> Option<KeptRun> {
        let own = known.kept();
        let kept = self.keeper.look(&self.context, record);
        Some(own).filter(|own| own.is_ahead_of(record)).or(kept)
    }

    /// Brings the ledger back to what is known: the jobs between are counted or sent again when the run drains.
    pub(super) async fn restore(&mut self, known: &mut Known, kept: KeptRun) -> Result<Next> {
        tracing::warn!(run = %self.run, cursor = kept.cursor, revision = kept.revision, "the ledger went back in time; restoring the run");
        let is_own = kept.cursor == known.pacer.cursor() && kept.revision == known.record.revision;
        let record = self.context.ports.ledger.runs.restore(&kept.reopened()).await?;
        if !is_own {
            // What this pacer earned began at an older moment.
            known.pacer = self.pacer(&record);
        }
        self.apply(known, record);
        self.submit_outstanding().await?;
        Ok(Next::Sleep(Duration::ZERO))
    }

    /// A lease is also lost when the ledger went back in time, and then the next owner may not know what this one does.
    pub(super) async fn leave_word(&self, known: Option<Known>) {
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

    async fn submit_outstanding(&mut self) -> Result<()> {
        for range in self.context.ports.ledger.ranges.outstanding(&self.run).await? {
            self.dispatcher.submit(range);
        }
        Ok(())
    }

    /// Believes the ledger: what is reserved there is sent (again, if need be), and the pacer goes on from its cursor.
    pub(super) async fn resync(&mut self, known: &mut Option<Known>) -> Result<Next> {
        let found = self.context.ports.ledger.runs.find(&self.run).await?;
        if let Some(record) = &found {
            if known.is_none() {
                self.choose_traces(record);
                self.measured.knows(record);
                self.dispatcher.set_message_bytes(message_bytes(&record.spec));
            }
            self.submit_outstanding().await?;
        }
        match (known, found) {
            (Some(known), Some(record)) => match self.ahead(known, &record) {
                Some(kept) => return self.restore(known, kept).await,
                None => {
                    skip_to(&mut known.pacer, record.cursor);
                    self.apply(known, record);
                }
            },
            (Some(known), None) => {
                let own = known.kept();
                return self.restore(known, own).await;
            }
            (known @ None, Some(record)) => {
                let range_jobs = range_jobs(&record.spec);
                let (pacer, as_of_ms) = (self.pacer(&record), self.context.ports.clock.wall_ms());
                *known = Some(Known { pacer, record, as_of_ms, range_jobs });
            }
            (None, None) => {
                return Err(Error::unavailable(format!("run {} has vanished from the ledger", self.run))
                    .coded(codes::RUN_VANISHED));
            }
        }
        Ok(Next::Sleep(Duration::ZERO))
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

/// Of the largest message of the run.
fn message_bytes(spec: &RunSpec) -> u64 {
    Encoder::new(spec).message_bytes_max() as u64
}

impl Known {
    /// The run as this owner knows it.
    fn kept(&self) -> KeptRun {
        let pacing = self.pacer.pacing(self.as_of_ms);
        KeptRun { cursor: self.pacer.cursor(), pacing, ..self.record.clone() }
    }
}

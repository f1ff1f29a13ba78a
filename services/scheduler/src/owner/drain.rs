//! The step of a run that is DRAINING or STOPPING: waits until the run is drained in each group, and sends again what a service lost.

use std::time::Duration;

use paceline_core::error::Result;
use paceline_core::run::{RunState, Snapshot};

use super::healer::Healer;
use super::state::{KnownRun, Next, Owner};

/// The pause between two looks at a draining run.
const DRAIN_POLL: Duration = Duration::from_millis(100);

impl Owner {
    /// A run has ended once everything reserved is published, and everything published has ended in each group.
    pub(super) async fn drain(&mut self, known: &mut KnownRun, end: RunState) -> Result<Next> {
        for group in known.record.spec.groups.clone().iter() {
            let snapshot = self.snapshot(group).await?;
            if snapshot.record.revision != known.record.revision {
                if let Some(kept) = self.ahead(known, &snapshot.record) {
                    return self.restore(known, kept).await;
                }
                self.apply(known, snapshot.record);
                return Ok(Next::Sleep(Duration::ZERO));
            }
            if !snapshot.is_drained() {
                return self.wait_for_drain(&snapshot, group).await;
            }
            tracing::debug!(run = %self.run, group, processed = snapshot.processed, dead = snapshot.dead, "drained");
        }
        let ended = self.context.ports.ledger.leases.advance(&self.run, self.fence, end, None).await?;
        tracing::info!(run = %self.run, state = %end, enqueued = ended.cursor, groups = %ended.spec.groups, "run ended");
        Ok(Next::Ended)
    }

    /// Sends what is missing for the end: ranges that this owner does not know, and jobs that a service has lost.
    async fn wait_for_drain(&mut self, snapshot: &Snapshot, group: &str) -> Result<Next> {
        if snapshot.ranges_outstanding == 0 {
            self.send_lost(snapshot, group, snapshot.enqueued);
        } else if self.dispatcher.is_idle() {
            // A reservation took effect after this owner had given up on it and read the run again.
            self.submit_outstanding().await?;
        }
        Ok(Next::Sleep(DRAIN_POLL))
    }

    /// Sends again the jobs that a service lost, for a run that is not draining yet; the run is looked at from time to time.
    pub(super) async fn heal(&mut self, known: &KnownRun) -> Result<()> {
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
            self.metrics.healed(jobs);
        }
        lost.into_iter().for_each(|range| self.dispatcher.submit(range));
    }
}

//! An owner's loop: one task, one fence. Every write carries the fence, so an owner that lost its lease while it slept changes nothing (L9).
//!
//! An error of the ledger is followed by [`Owner::resync`]: the ledger is read again and believed.

use std::time::Duration;

use paceline_core::error::{Error, ErrorKind, Result};
use paceline_core::run::RunState;
use tokio::time::Instant;

use super::delivery::Fault;
use super::state::{KnownRun, LEASE_TTL, Next, Owner, RENEW_INTERVAL};

const RETRY_DELAY: Duration = Duration::from_millis(200);
/// The longest time that a stop waits for ranges in flight.
const STOP_GRACE: Duration = Duration::from_secs(3);

impl Owner {
    /// Steps the run until it has ended, the lease is lost, or a stop comes.
    pub async fn work(mut self) {
        tracing::debug!(run = %self.run, epoch = self.fence.epoch, "owning");
        let mut known = None;
        match self.drive(&mut known).await {
            Ok(()) => self.hand_over(known).await,
            Err(error) => {
                tracing::info!(run = %self.run, epoch = self.fence.epoch, %error, "no longer the owner");
                self.leave_word(known).await;
            }
        }
    }

    /// `Err` only when the run is somebody else's now.
    async fn drive(&mut self, known: &mut Option<KnownRun>) -> Result<()> {
        let mut renew_at = Instant::now() + RENEW_INTERVAL;
        let mut is_stale = true;
        while !self.shutdown.is_triggered() && !self.has_failed {
            let is_renewal_due = Instant::now() >= renew_at;
            let stepped = match &mut *known {
                Some(known) if !is_stale && is_renewal_due => self.renew(known).await,
                Some(known) if !is_stale => self.step(known).await,
                _ => self.resync(known).await,
            };
            if is_renewal_due {
                renew_at = Instant::now() + RENEW_INTERVAL;
            }
            self.metrics.outstanding(self.dispatcher.outstanding());
            is_stale = stepped.is_err();
            let sleep = match stepped {
                Ok(Next::Ended) => return Ok(()),
                Ok(Next::Sleep(sleep)) => sleep,
                Err(error) => self.after(error).await?,
            };
            let was_woken = self.rest(sleep.min(renew_at.saturating_duration_since(Instant::now()))).await?;
            if was_woken {
                renew_at = Instant::now();
            }
        }
        Ok(())
    }

    /// The time to wait after an error before the ledger is read again; `Err` when the run is somebody else's now.
    async fn after(&self, error: Error) -> Result<Duration> {
        if error.kind == ErrorKind::Aborted {
            // A newer revision (go on) or a newer owner (stop): only the lease tells.
            let lease = self.context.ports.ledger.leases.acquire(&self.run, &self.context.config.id, LEASE_TTL).await;
            return match lease {
                Ok(held) if held == Some(self.fence) => Ok(Duration::ZERO),
                // The ledger went back to before the run; this owner brings it back.
                Err(lost) if lost.kind == ErrorKind::NotFound => Ok(RETRY_DELAY),
                _ => Err(error),
            };
        }
        tracing::warn!(run = %self.run, %error, "reading the run again");
        Ok(RETRY_DELAY)
    }

    /// One step, as the run's state asks for it.
    async fn step(&mut self, known: &mut KnownRun) -> Result<Next> {
        match known.record.state {
            RunState::Running => self.pace(known).await,
            RunState::Paused => Ok(Next::Sleep(RENEW_INTERVAL)),
            RunState::Stopping => self.drain(known, RunState::Stopped).await,
            RunState::Draining => self.drain(known, RunState::Completed).await,
            RunState::Completed | RunState::Stopped | RunState::Failed => Ok(Next::Ended),
        }
    }

    /// Renews the lease, stores how far the credit is, and sees what callers changed.
    async fn renew(&mut self, known: &mut KnownRun) -> Result<Next> {
        if self.may_reserve(known) {
            self.earn(known);
            if known.record.state == RunState::Running {
                self.metrics.stepped(known.pacer.due());
            }
        }
        let pacing = known.pacer.pacing(known.as_of_ms);
        let record = self.context.ports.ledger.leases.renew(&self.run, self.fence, LEASE_TTL, &pacing).await?;
        if let Some(kept) = self.ahead(known, &record) {
            return self.restore(known, kept).await;
        }
        known.pacer.skip_to(record.cursor);
        self.apply(known, record);
        self.heal(known).await?;
        Ok(Next::Sleep(Duration::ZERO))
    }

    /// Sleeps, but not through a wake, a stop or the end of a range. True after a wake.
    async fn rest(&mut self, sleep: Duration) -> Result<bool> {
        // In this order, so that the simulation replays. Ended ranges cannot starve the rest: a step follows each rest, and no more
        // end than were started.
        tokio::select! {
            biased;
            () = self.shutdown.triggered() => Ok(false),
            () = self.wake.notified() => Ok(true),
            ended = self.dispatcher.ended() => self.note(ended).await.map(|()| false),
            () = tokio::time::sleep(sleep) => Ok(false),
        }
    }

    async fn note(&mut self, ended: Result<(), Fault>) -> Result<()> {
        match ended {
            Ok(()) => Ok(()),
            Err(Fault::LeaseLost(error)) => Err(error),
            Err(Fault::Unpublishable(error)) => {
                tracing::error!(run = %self.run, %error, "run failed: its jobs can never be published");
                let leases = &self.context.ports.ledger.leases;
                leases.advance(&self.run, self.fence, RunState::Failed, Some(&error.message)).await?;
                self.has_failed = true;
                self.metrics.failed();
                Ok(())
            }
        }
    }

    /// At a stop, or after the end: lets ranges in flight arrive, stores the credit, and gives the lease up so that another goes on at once.
    ///
    /// Nothing arrives any more for a run that has ended: nobody publishes the rest of a run that FAILED before the run goes on. The
    /// credit of such a run is not stored either: somebody may have taken the run out of FAILED by now, and from then on the credit is
    /// another owner's.
    async fn hand_over(&mut self, known: Option<KnownRun>) {
        let has_ended = self.has_failed || known.as_ref().is_some_and(|known| known.record.state.is_terminal());
        if !has_ended {
            self.let_arrive().await;
            if let Some(known) = known {
                self.store_credit(&known).await;
            }
        }
        if let Err(error) = self.context.ports.ledger.leases.release(&self.run, self.fence).await {
            tracing::warn!(run = %self.run, %error, "lease not given up; it runs out by itself");
        }
    }

    async fn let_arrive(&mut self) {
        let arriving = async { while !self.dispatcher.is_idle() && self.dispatcher.ended().await.is_ok() {} };
        if tokio::time::timeout(STOP_GRACE, arriving).await.is_err() {
            tracing::info!(run = %self.run, "ranges in flight are published again by the next owner");
        }
    }

    async fn store_credit(&self, known: &KnownRun) {
        let pacing = known.pacer.pacing(known.as_of_ms);
        if let Err(error) = self.context.ports.ledger.leases.renew(&self.run, self.fence, LEASE_TTL, &pacing).await {
            tracing::debug!(run = %self.run, %error, "credit not stored at the stop");
        }
    }
}

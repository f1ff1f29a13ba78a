//! Owns one run: earns credit by the clock, reserves what is due, has it published, and walks the run to its end.
//!
//! One task, one fence. Every write carries the fence, so an owner that lost its lease while it slept changes nothing (L9).
//! Whatever the ledger answers with an error is followed by [`Owner::resync`]: the ledger is read again and believed.

mod recover;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use paceline_core::error::codes;
use paceline_core::error::{Error, ErrorKind, Result};
use paceline_core::ids::RunId;
use paceline_core::job::Range;
use paceline_core::mutant::{self, Mutant};
use paceline_core::pacing::Pacer;
use paceline_core::ports::leases::Fence;
use paceline_core::ports::ranges::Reservation;
use paceline_core::run::{RunRecord, RunState, Snapshot};
use paceline_runtime::lifecycle::Shutdown;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::backlog::Backlog;
use crate::context::Context;
use crate::dispatch::{Dispatcher, Fault};
use crate::healer::Healer;
use crate::keeper::Keeper;
use crate::measured::Owned;
use crate::spans;
use crate::supervisor::Active;

/// How long a lease is good without renewal; a fail-over takes at most this and a scan.
pub const LEASE_TTL: Duration = Duration::from_secs(2);
const RENEW_INTERVAL: Duration = Duration::from_millis(500);
/// Reservations are at least this far apart, so that a fast run shares its round trips: half of what L6 allows.
const TICK: Duration = Duration::from_millis(10);
/// How often a draining run looks whether it is drained.
const DRAIN_POLL: Duration = Duration::from_millis(100);
const RETRY_DELAY: Duration = Duration::from_millis(200);
/// How long a stop waits for ranges that are on their way.
const STOP_GRACE: Duration = Duration::from_secs(3);

pub struct Owner {
    context: Context,
    run: RunId,
    fence: Fence,
    wake: Arc<Notify>,
    shutdown: Shutdown,
    dispatcher: Dispatcher,
    backlog: Backlog,
    /// By group; as many as the run has.
    healers: BTreeMap<String, Healer>,
    keeper: Keeper,
    active: Active,
    measured: Owned,
    /// It has made the run FAILED: what it knows of it is over, also if somebody resumes the run at once.
    has_failed: bool,
}

/// What is known of the run; read anew by every resync.
struct Known {
    record: RunRecord,
    pacer: Pacer,
    /// Wall time of the pacer's last advance.
    as_of_ms: i64,
    /// The most jobs in one range of this run.
    range_jobs: u64,
}

/// What to do after a step.
enum Next {
    Sleep(Duration),
    Ended,
}

impl Owner {
    pub fn new(
        (context, measured): (Context, Owned),
        run: RunId,
        fence: Fence,
        (wake, active): (Arc<Notify>, Active),
        shutdown: Shutdown,
    ) -> Self {
        let dispatcher = Dispatcher::new((context.clone(), measured.all().clone()), run.clone(), fence);
        let (backlog, healers, keeper, has_failed) = (Backlog::new(), BTreeMap::new(), Keeper::new(), false);
        Self { context, run, fence, wake, shutdown, dispatcher, backlog, healers, keeper, active, measured, has_failed }
    }

    /// Until the run has ended, the lease is lost, or a stop comes.
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
    async fn drive(&mut self, known: &mut Option<Known>) -> Result<()> {
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
            self.measured.outstanding(self.dispatcher.outstanding());
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

    /// How long to wait after an error before the ledger is read again; `Err` when the run is somebody else's now.
    async fn after(&self, error: Error) -> Result<Duration> {
        if error.kind == ErrorKind::Aborted {
            // A newer revision (go on) or a newer owner (stop): only the lease tells.
            let lease = self.context.ports.ledger.leases.take(&self.run, &self.context.config.id, LEASE_TTL).await;
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

    /// One look at what the state asks for.
    async fn step(&mut self, known: &mut Known) -> Result<Next> {
        match known.record.state {
            RunState::Running => self.pace(known).await,
            RunState::Paused => Ok(Next::Sleep(RENEW_INTERVAL)),
            RunState::Stopping => self.drain(known, RunState::Stopped).await,
            RunState::Draining => self.drain(known, RunState::Completed).await,
            RunState::Completed | RunState::Stopped | RunState::Failed => Ok(Next::Ended),
        }
    }

    /// Whether there is room for more: among the ranges on their way, and in the queue.
    fn may_reserve(&mut self, known: &Known) -> bool {
        let is_over = self.backlog.is_over(&self.context, &self.run, known.pacer.cursor());
        self.measured.held(is_over);
        self.dispatcher.has_room() && !is_over
    }

    /// Reserves what is due. While there is no room credit is not looked at: time that passes so is a hiccup or an outage,
    /// and the pacer makes it good by the run's policy.
    async fn pace(&mut self, known: &mut Known) -> Result<Next> {
        if !self.may_reserve(known) {
            return Ok(Next::Sleep(RENEW_INTERVAL));
        }
        self.earn(known);
        let pacer = &mut known.pacer;
        if pacer.is_complete() {
            known.record =
                self.context.ports.ledger.leases.advance(&self.run, self.fence, RunState::Draining, None).await?;
            return Ok(Next::Sleep(Duration::ZERO));
        }
        let due = pacer.due();
        if due == 0 {
            self.measured.stepped(0);
            let wait = pacer.wait_ns().map_or(RENEW_INTERVAL, Duration::from_nanos);
            return Ok(Next::Sleep(wait));
        }
        let count = due.min(known.range_jobs);
        let reservation = Reservation {
            count,
            scheduled_at_ms: known.as_of_ms,
            pacing: pacer.pacing_after(count, known.as_of_ms),
            revision: known.record.revision,
        };
        let range = match self.context.ports.ledger.ranges.reserve(&self.run, self.fence, &reservation).await {
            Err(error) if error.is_retryable() && mutant::is_active(Mutant::CursorNotIdempotent) => {
                return Ok(Next::Sleep(TICK));
            }
            reserved => reserved?,
        };
        if range.count == 0 {
            return Err(Error::internal(format!("run {} is at its total, and the pacer did not know", self.run)));
        }
        let is_expected = range.first == pacer.cursor();
        skip_to(pacer, range.first);
        pacer.take(range.end().saturating_sub(pacer.cursor()));
        let now_us = self.context.ports.clock.wall_us();
        self.dispatcher.submit(range);
        self.measure((&known.record, known.as_of_ms), due, &range, now_us);
        let who = (self.context.config.id.as_str(), &known.record.spec);
        spans::reserved(&self.context.config.instruments.traces, self.dispatcher.sampling(), who, &range, now_us);
        if !is_expected {
            // A reservation from before took effect after all, and its range is not on its way; or the ledger went back in time.
            return Err(Error::aborted(format!("run {} went on at {}, not where it should", self.run, range.first))
                .coded(codes::RUN_CHANGED_MEANWHILE));
        }
        let has_more = due > count || pacer.is_complete();
        Ok(Next::Sleep(if has_more {
            Duration::ZERO
        } else {
            TICK.max(pacer.wait_ns().map_or(TICK, Duration::from_nanos))
        }))
    }

    /// Of the jobs that were due at the last look at the clock, `due` of them, the first had been since one earned itself.
    fn measure(&self, (record, looked_at_ms): (&RunRecord, i64), due: u64, range: &Range, now_us: i64) {
        self.measured.stepped(due.saturating_sub(range.count));
        let since_look = now_us.saturating_sub(looked_at_ms.saturating_mul(1_000)).max(0) as f64 / 1e6;
        let before_look = due.saturating_sub(1) as f64 / record.spec.rate.per_second();
        let counts = self.measured.counts();
        counts.lateness.observe(since_look + before_look);
        counts.enqueued.inc_by(range.count);
    }

    /// Everything reserved is published, everything published has ended in each group: the run has.
    async fn drain(&mut self, known: &mut Known, end: RunState) -> Result<Next> {
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

    async fn snapshot(&self, group: &str) -> Result<Snapshot> {
        let snapshot = self.context.ports.ledger.counts.snapshot(&self.run, group).await?;
        snapshot.ok_or_else(|| {
            Error::unavailable(format!("run {} has vanished from the ledger", self.run)).coded(codes::RUN_VANISHED)
        })
    }

    /// Keeps the lease, stores how far the credit is, and sees what callers changed.
    async fn renew(&mut self, known: &mut Known) -> Result<Next> {
        if self.may_reserve(known) {
            self.earn(known);
            if known.record.state == RunState::Running {
                self.measured.stepped(known.pacer.due());
            }
        }
        let pacing = known.pacer.pacing(known.as_of_ms);
        let record = self.context.ports.ledger.leases.renew(&self.run, self.fence, LEASE_TTL, &pacing).await?;
        if let Some(kept) = self.ahead(known, &record) {
            return self.restore(known, kept).await;
        }
        skip_to(&mut known.pacer, record.cursor);
        self.apply(known, record);
        self.heal(known).await?;
        Ok(Next::Sleep(Duration::ZERO))
    }

    fn earn(&self, known: &mut Known) {
        known.pacer.advance(self.context.ports.clock.monotonic_ns());
        known.as_of_ms = self.context.ports.clock.wall_ms();
    }

    /// Takes over what a caller changed: the rate and total from now on, the state at once.
    fn apply(&mut self, known: &mut Known, record: RunRecord) {
        self.choose_traces(&record);
        self.measured.knows(&record);
        let now_ns = self.context.ports.clock.monotonic_ns();
        if record.spec.rate != known.record.spec.rate {
            known.pacer.set_rate(record.spec.rate, now_ns);
        }
        known.pacer.set_total(record.spec.total);
        match (known.record.state, record.state) {
            (RunState::Running, next) if next != RunState::Running => known.pacer.pause(now_ns),
            (before, RunState::Running) if before != RunState::Running => known.pacer.unpause(now_ns),
            _ => (),
        }
        known.record = record;
    }

    /// Which traces are recorded follows the rate, and how many runs share the bound.
    fn choose_traces(&mut self, record: &RunRecord) {
        let runs = self.active.count();
        self.dispatcher
            .set_sampling(self.context.config.instruments.traces.sampling(record.spec.rate.per_second(), runs));
    }

    /// Sleeps, but not through a wake, a stop or the end of a range; whether it was a wake.
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
                self.context
                    .ports
                    .ledger
                    .leases
                    .advance(&self.run, self.fence, RunState::Failed, Some(&error.message))
                    .await?;
                self.has_failed = true;
                self.measured.failed();
                Ok(())
            }
        }
    }

    /// At a stop, or after the end: lets what is on its way arrive, stores the credit, and gives the lease up so that another goes on
    /// at once. Of a run that has ended nothing arrives any more: of one that FAILED nobody publishes the rest before it goes on. Its
    /// credit is not stored either: somebody may have taken it out of FAILED by now, and from then on it is another owner's.
    async fn hand_over(&mut self, known: Option<Known>) {
        let has_ended = self.has_failed || known.as_ref().is_some_and(|known| known.record.state.is_terminal());
        let arriving = async { while !self.dispatcher.is_idle() && self.dispatcher.ended().await.is_ok() {} };
        if !has_ended && tokio::time::timeout(STOP_GRACE, arriving).await.is_err() {
            tracing::info!(run = %self.run, "ranges still on their way are published again by the next owner");
        }
        if let Some(known) = known.filter(|_| !has_ended) {
            let pacing = known.pacer.pacing(known.as_of_ms);
            if let Err(error) = self.context.ports.ledger.leases.renew(&self.run, self.fence, LEASE_TTL, &pacing).await
            {
                tracing::debug!(run = %self.run, %error, "credit not stored at the stop");
            }
        }
        if let Err(error) = self.context.ports.ledger.leases.release(&self.run, self.fence).await {
            tracing::warn!(run = %self.run, %error, "lease not given up; it runs out by itself");
        }
    }
}

/// Where the ledger's cursor is ahead, of a late reservation or of another owner's, the pacer follows.
fn skip_to(pacer: &mut Pacer, cursor: u64) {
    if !mutant::is_active(Mutant::CursorNotIdempotent) {
        pacer.skip_to(cursor);
    }
}

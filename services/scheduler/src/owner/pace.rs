//! The step of a run that is RUNNING: earns credit by the clock, and reserves the jobs that are due (L6).

use std::time::Duration;

use paceline_core::error::codes;
use paceline_core::error::{Error, Result};
use paceline_core::job::Range;
use paceline_core::ports::ranges::Reservation;
use paceline_core::run::RunState;

use super::spans::ReserveSpans;
use super::state::{KnownRun, Next, Owner, RENEW_INTERVAL};

/// Reservations are at least this far apart, so that a fast run shares its round trips: half of what L6 allows.
const TICK: Duration = Duration::from_millis(10);

impl Owner {
    /// Reserves the jobs that are due. Without room the pacer is not advanced. The time until there is room counts as a hiccup or an
    /// outage, by the run's catch-up.
    pub(super) async fn pace(&mut self, known: &mut KnownRun) -> Result<Next> {
        if !self.may_reserve(known) {
            return Ok(Next::Sleep(RENEW_INTERVAL));
        }
        self.earn(known);
        if known.pacer.is_complete() {
            let leases = &self.context.ports.ledger.leases;
            known.record = leases.advance(&self.run, self.fence, RunState::Draining, None).await?;
            return Ok(Next::Sleep(Duration::ZERO));
        }
        let due = known.pacer.due();
        if due > 0 {
            return self.reserve(known, due).await;
        }
        self.metrics.stepped(0);
        Ok(Next::Sleep(known.pacer.wait_ns().map_or(RENEW_INTERVAL, Duration::from_nanos)))
    }

    /// Makes the next of `due` jobs exist, and sends their range.
    async fn reserve(&mut self, known: &mut KnownRun, due: u64) -> Result<Next> {
        let count = due.min(known.range_jobs);
        let reservation = Reservation {
            count,
            scheduled_at_ms: known.as_of_ms,
            pacing: known.pacer.pacing_after(count, known.as_of_ms),
            revision: known.record.revision,
        };
        let range = self.context.ports.ledger.ranges.reserve(&self.run, self.fence, &reservation).await?;
        if range.count == 0 {
            return Err(Error::internal(format!("run {} is at its total, and the pacer did not know", self.run)));
        }
        let is_expected = known.take(&range);
        self.send(known, due, range);
        if !is_expected {
            // An earlier reservation took effect after all, and its range is not in flight; or the ledger went back in time.
            return Err(Error::aborted(format!("run {} went on at {}, not where it should", self.run, range.first))
                .coded(codes::RUN_CHANGED_MEANWHILE));
        }
        let has_more = due > count || known.pacer.is_complete();
        let pause = || TICK.max(known.pacer.wait_ns().map_or(TICK, Duration::from_nanos));
        Ok(Next::Sleep(if has_more { Duration::ZERO } else { pause() }))
    }

    fn send(&mut self, known: &KnownRun, due: u64, range: Range) {
        let now_us = self.context.ports.clock.wall_us();
        self.dispatcher.submit(range);
        self.measure(known, due, &range, now_us);
        let config = &self.context.config;
        let spans = ReserveSpans {
            traces: &config.instruments.traces,
            sampling: self.dispatcher.sampling(),
            scheduler: &config.id,
            spec: &known.record.spec,
        };
        spans.write(&range, now_us);
    }

    /// Measures the delay of the reservation. The first of the `due` jobs had been due since the last look at the clock, plus the time in
    /// which one job is earned.
    fn measure(&self, known: &KnownRun, due: u64, range: &Range, now_us: i64) {
        self.metrics.stepped(due.saturating_sub(range.count));
        let since_look = now_us.saturating_sub(known.as_of_ms.saturating_mul(1_000)).max(0) as f64 / 1e6;
        let before_look = due.saturating_sub(1) as f64 / known.record.spec.rate.per_second();
        let counts = self.metrics.counts();
        counts.lateness.observe(since_look + before_look);
        counts.enqueued.inc_by(range.count);
    }
}

//! An owner's state: the run that it owns, its knowledge of the run, and the parts that work for it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use paceline_core::error::codes;
use paceline_core::error::{Error, Result};
use paceline_core::ids::RunId;
use paceline_core::job::Range;
use paceline_core::pacing::Pacer;
use paceline_core::ports::leases::Fence;
use paceline_core::run::{KeptRun, RunRecord, RunState, Snapshot};
use paceline_runtime::lifecycle::Shutdown;
use tokio::sync::Notify;

use super::backlog::Backlog;
use super::dispatch::Dispatcher;
use super::healer::Healer;
use super::keeper::Keeper;
use super::signals::ActiveRuns;
use crate::context::Context;
use crate::metrics::OwnedRun;

/// The time for which a lease is good without renewal; a fail-over takes at most this and a scan.
pub const LEASE_TTL: Duration = Duration::from_secs(2);
pub const RENEW_INTERVAL: Duration = Duration::from_millis(500);

/// A run whose lease this scheduler has just taken, and everything that its owner shares with others.
pub struct Claim {
    pub context: Context,
    pub run: RunId,
    pub fence: Fence,
    /// Notified when a caller changed the run.
    pub wake: Arc<Notify>,
    pub active: ActiveRuns,
    pub metrics: OwnedRun,
    pub shutdown: Shutdown,
}

pub struct Owner {
    pub(super) context: Context,
    pub(super) run: RunId,
    pub(super) fence: Fence,
    pub(super) wake: Arc<Notify>,
    pub(super) shutdown: Shutdown,
    pub(super) dispatcher: Dispatcher,
    backlog: Backlog,
    /// The healers by group, one for each group of the run.
    pub(super) healers: BTreeMap<String, Healer>,
    pub(super) keeper: Keeper,
    active: ActiveRuns,
    pub(super) metrics: OwnedRun,
    /// The owner has made the run FAILED: its knowledge of the run is over, also if somebody resumes the run at once.
    pub(super) has_failed: bool,
}

/// The run as its owner knows it; read anew by every resync.
pub struct KnownRun {
    pub record: RunRecord,
    pub pacer: Pacer,
    /// Wall time of the pacer's last advance.
    pub as_of_ms: i64,
    /// The most jobs in one range of this run.
    pub range_jobs: u64,
}

/// The next thing to do after a step.
pub enum Next {
    Sleep(Duration),
    Ended,
}

impl Owner {
    pub fn new(claim: Claim) -> Self {
        let Claim { context, run, fence, wake, active, metrics, shutdown } = claim;
        let dispatcher = Dispatcher::new(context.clone(), metrics.all().clone(), run.clone(), fence);
        let (backlog, healers, keeper, has_failed) = (Backlog::new(), BTreeMap::new(), Keeper::new(), false);
        Self { context, run, fence, wake, shutdown, dispatcher, backlog, healers, keeper, active, metrics, has_failed }
    }

    /// True if there is room for more jobs: among the ranges in flight, and in the queue.
    pub(super) fn may_reserve(&mut self, known: &KnownRun) -> bool {
        let is_over = self.backlog.is_over(&self.context, &self.run, known.pacer.cursor());
        self.metrics.held(is_over);
        self.dispatcher.has_room() && !is_over
    }

    pub(super) fn earn(&self, known: &mut KnownRun) {
        known.pacer.advance(self.context.ports.clock.monotonic_ns());
        known.as_of_ms = self.context.ports.clock.wall_ms();
    }

    /// Takes over what a caller changed: the rate and total from now on, the state at once.
    pub(super) fn apply(&mut self, known: &mut KnownRun, record: RunRecord) {
        self.choose_traces(&record);
        self.metrics.knows(&record);
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

    /// The share of traces that are sampled follows the rate, and the number of runs that share the bound.
    pub(super) fn choose_traces(&mut self, record: &RunRecord) {
        let (rate, runs) = (record.spec.rate.per_second(), self.active.count());
        self.dispatcher.set_sampling(self.context.config.instruments.traces.sampling(rate, runs));
    }

    pub(super) async fn snapshot(&self, group: &str) -> Result<Snapshot> {
        let snapshot = self.context.ports.ledger.counts.snapshot(&self.run, group).await?;
        snapshot.ok_or_else(|| self.vanished())
    }

    pub(super) fn vanished(&self) -> Error {
        Error::unavailable(format!("run {} has vanished from the ledger", self.run)).coded(codes::RUN_VANISHED)
    }
}

impl KnownRun {
    /// Notes a reservation; true if its range begins where the pacer expected it.
    pub fn take(&mut self, range: &Range) -> bool {
        let is_expected = range.first == self.pacer.cursor();
        self.pacer.skip_to(range.first);
        self.pacer.take(range.end().saturating_sub(self.pacer.cursor()));
        is_expected
    }

    /// The run as the sink keeps it.
    pub fn kept(&self) -> KeptRun {
        let pacing = self.pacer.pacing(self.as_of_ms);
        KeptRun { cursor: self.pacer.cursor(), pacing, ..self.record.clone() }
    }
}

//! The word of an owner on its run.

use std::sync::atomic::Ordering;

use paceline_core::ids::RunId;
use paceline_core::ports::leases::Fence;
use paceline_core::run::{RunRecord, RunState};
use tokio::time::Instant;

use super::run::{OwnersView, SharedRun, lock};
use super::scheduler::{JobCounts, SchedulerMetrics};

/// Dropped, its scheduler does not own the run any more.
pub struct OwnedRun {
    all: SchedulerMetrics,
    pub(super) shown: SharedRun,
    is_held: bool,
}

impl SchedulerMetrics {
    /// This scheduler owns the run from now on.
    pub fn own(&self, run: &RunId, fence: Fence) -> OwnedRun {
        let shown = lock(&self.0.runs).entry(run.clone()).or_default().clone();
        let view = OwnersView { epoch: fence.epoch, asked: None, left: 0, stepped_at: Instant::now(), outstanding: 0 };
        {
            let mut shown = lock(&shown);
            (shown.owner, shown.has_failed) = (Some(view), false);
        }
        self.0.owned.fetch_add(1, Ordering::Relaxed);
        self.0.forget_some();
        OwnedRun { all: self.clone(), shown, is_held: false }
    }
}

impl OwnedRun {
    pub fn counts(&self) -> &JobCounts {
        self.all.counts()
    }

    pub fn all(&self) -> &SchedulerMetrics {
        &self.all
    }

    /// The run is as this says.
    pub fn knows(&self, record: &RunRecord) {
        let mut shown = lock(&self.shown);
        if shown.groups.is_none() {
            shown.groups = Some(record.spec.groups.clone());
            self.all.0.ended.notify_one();
        }
        let is_running = record.state == RunState::Running;
        if let Some(view) = &mut shown.owner {
            let asked = Some(if is_running { record.spec.rate.per_second() } else { 0.0 });
            view.left = if is_running { view.left } else { 0 };
            if view.asked != asked {
                // Jobs that fell due before fell due at another rate, or not at all.
                (view.asked, view.stepped_at) = (asked, Instant::now());
            }
        }
    }

    /// The run FAILED. The ledger is not read for that: the run may be older than all that are shown.
    pub fn failed(&self) {
        lock(&self.shown).has_failed = true;
    }

    /// A step has looked at the jobs that are due, and left that many.
    pub fn stepped(&self, left: u64) {
        if let Some(view) = &mut lock(&self.shown).owner {
            (view.left, view.stepped_at) = (left, Instant::now());
        }
    }

    /// So many ranges are in flight, or wait for a producer.
    pub fn outstanding(&self, ranges: usize) {
        if let Some(view) = &mut lock(&self.shown).owner {
            view.outstanding = ranges;
        }
    }

    /// `is_held`: the queue is over the high-water mark.
    pub fn held(&mut self, is_held: bool) {
        match (std::mem::replace(&mut self.is_held, is_held), is_held) {
            (false, true) => _ = self.all.0.held.fetch_add(1, Ordering::Relaxed),
            (true, false) => _ = self.all.0.held.fetch_sub(1, Ordering::Relaxed),
            _ => (),
        }
    }

    /// So many jobs that were lost are sent again.
    pub fn healed(&self, jobs: u64) {
        lock(&self.shown).healed += jobs;
    }
}

impl Drop for OwnedRun {
    fn drop(&mut self) {
        self.held(false);
        {
            let mut shown = lock(&self.shown);
            (shown.owner, shown.is_stale) = (None, true);
        }
        self.all.0.owned.fetch_sub(1, Ordering::Relaxed);
        self.all.0.forget_some();
        self.all.0.ended.notify_one();
    }
}

//! The numbers of a run as people read them: one atomic read of the ledger, and what follows from it.

use std::collections::BTreeMap;

use super::record::RunRecord;
use super::state::RunState;

/// One atomic read of a run's numbers, for one of its groups. L1: `processed + dead ≤ enqueued` in every one.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    pub record: RunRecord,
    /// Reserved, so durable.
    pub enqueued: u64,
    /// Confirmed by the broker.
    pub published: u64,
    pub processed: u64,
    pub dead: u64,
    /// Executions beyond the first of a job; never counted.
    pub duplicates: u64,
    /// Reserved ranges that are not confirmed yet.
    pub ranges_outstanding: u64,
    /// Jobs enqueued within the last [`RATE_WINDOW_S`] seconds.
    pub enqueued_in_window: u64,
    /// Jobs processed within the last [`RATE_WINDOW_S`] seconds.
    pub processed_in_window: u64,
    pub workers: BTreeMap<String, u64>,
    pub producers: BTreeMap<String, u64>,
    pub read_at_ms: i64,
}

/// Length of the window of the achieved rates, in whole seconds; the running second is not part of it.
pub const RATE_WINDOW_S: i64 = 10;

impl Snapshot {
    pub fn in_flight(&self) -> u64 {
        self.enqueued.saturating_sub(self.processed).saturating_sub(self.dead)
    }

    /// Everything reserved is published, and everything published has ended in this group.
    pub fn is_drained(&self) -> bool {
        self.ranges_outstanding == 0 && self.in_flight() == 0
    }

    /// Jobs a second over the window, or over the run's age while it is younger than the window. The running second is not
    /// part of either, so before the run's first whole second this is 0.
    pub fn per_second(&self, in_window: u64) -> f64 {
        let counted_up_to_ms = self.read_at_ms.div_euclid(1000) * 1000;
        let counted_s = (counted_up_to_ms - self.record.spec.created_at_ms) as f64 / 1000.0;
        in_window as f64 / counted_s.clamp(0.5, RATE_WINDOW_S as f64)
    }

    /// When the last job will be enqueued at the asked rate; `None` without a total, or when it is not running.
    pub fn estimated_end_ms(&self) -> Option<i64> {
        let total = self.record.spec.total?;
        if let Some(ended) = self.record.ended_at_ms {
            return Some(ended);
        }
        if self.record.state != RunState::Running {
            return None;
        }
        let left_ns = self.record.spec.rate.ns_for(total.saturating_sub(self.enqueued));
        Some(self.read_at_ms + i64::try_from(left_ns / 1_000_000).ok()?)
    }
}

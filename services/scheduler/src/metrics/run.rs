//! A run as it is shown: the pace, as its owner keeps it, and the numbers of the ledger.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use paceline_core::groups::Groups;
use paceline_runtime::telemetry::metrics::MetricReadings;
use paceline_runtime::telemetry::metrics::names;
use tokio::time::Instant;

use super::numbers::RunNumbers;
use crate::context::RANGES_IN_FLIGHT_MAX;

/// The pause between two reads of a run that this scheduler does not own any more.
pub(super) const READ_AGAIN_INTERVAL: Duration = Duration::from_secs(60);
/// An owner steps more often than that. Longer ago, jobs that have fallen due since belong to the pace error.
pub(super) const STEP_FRESH: Duration = Duration::from_secs(1);

pub type SharedRun = Arc<Mutex<ShownRun>>;

#[derive(Default)]
pub struct ShownRun {
    /// `None`: this scheduler does not own the run any more.
    pub owner: Option<OwnersView>,
    /// Not known until the owner has read the run.
    pub groups: Option<Groups>,
    pub numbers: Option<RunNumbers>,
    pub has_failed: bool,
    pub healed: u64,
    /// The owner has ended since the numbers were read.
    pub is_stale: bool,
    read_at: Option<Instant>,
}

/// The order in which runs are shown; of the same kind, the newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ShownKind {
    Other,
    Owned,
    Failed,
}

/// The pace, as the owner keeps it.
pub struct OwnersView {
    pub epoch: u64,
    /// Jobs a second, 0 while the run is not running. `None` until the owner has read the run; nothing else is known before that either.
    pub asked: Option<f64>,
    /// Jobs that were due and not reserved after the last step.
    pub left: u64,
    pub stepped_at: Instant,
    pub outstanding: usize,
}

impl ShownRun {
    pub fn kind(&self) -> ShownKind {
        match self.owner {
            Some(_) => ShownKind::Owned,
            None if self.has_failed => ShownKind::Failed,
            None => ShownKind::Other,
        }
    }

    pub fn is_wanted(&self) -> bool {
        let is_old = self.read_at.is_none_or(|read_at| read_at.elapsed() >= READ_AGAIN_INTERVAL);
        self.owner.is_some() || self.is_stale || is_old
    }

    /// Takes over numbers that were just read; `None`: the ledger does not know the run any more.
    pub fn take(&mut self, read: Option<RunNumbers>) {
        self.read_at = Some(Instant::now());
        self.has_failed = read.as_ref().is_some_and(|read| read.has_failed);
        if let Some(read) = read {
            self.numbers.get_or_insert_default().rise_to(read);
        }
    }

    pub fn show(&self, run: &str, readings: &mut MetricReadings) {
        readings.add(&names::RUN_FAILED, &[run], self.has_failed);
        if let Some(asked) = self.owner.as_ref().map_or(Some(0.0), |view| view.asked) {
            readings.add(&names::RUN_ASKED, &[run], asked);
        }
        readings.add(&names::RUN_HEALED, &[run], self.healed);
        if let Some(view) = &self.owner {
            if let Some(asked) = view.asked {
                readings.add(&names::RUN_PACE_ERROR, &[run], view.behind(asked));
                readings.add(&names::RUN_OUTSTANDING, &[run], view.outstanding);
            }
            readings.add(&names::RUN_OWNER_EPOCH, &[run], view.epoch);
            readings.add(&names::RUN_WINDOW, &[run], RANGES_IN_FLIGHT_MAX);
        }
        if let Some(numbers) = &self.numbers {
            numbers.show(run, readings);
        }
    }
}

impl OwnersView {
    /// An owner that cannot step, because the ledger is away or the queue too long, falls behind all the same.
    fn behind(&self, asked: f64) -> u64 {
        let since = self.stepped_at.elapsed();
        let missed = if since < STEP_FRESH { 0.0 } else { asked * since.as_secs_f64() };
        self.left.saturating_add(missed as u64)
    }
}

pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no code panics while it holds the numbers of a run")
}

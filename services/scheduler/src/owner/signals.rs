//! Signals to and among owners: a wake for the owner of a run that a caller changed, and the number of runs that share the sampling.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use paceline_core::ids::RunId;
use tokio::sync::Notify;

/// Wakes the owner of a run at once when a call in this process changed the run. A lost wake costs one lease renewal's time.
#[derive(Clone, Default)]
pub struct Wakers(Arc<WakersInner>);

#[derive(Default)]
struct WakersInner {
    owners: Mutex<HashMap<RunId, Arc<Notify>>>,
    scan: Notify,
}

impl Wakers {
    pub fn wake(&self, run: &RunId) {
        match self.lock().get(run) {
            Some(owner) => owner.notify_one(),
            None => self.0.scan.notify_one(),
        }
    }

    pub(super) fn register(&self, run: &RunId) -> Arc<Notify> {
        self.lock().entry(run.clone()).or_default().clone()
    }

    pub(super) fn forget(&self, run: &RunId) {
        self.lock().remove(run);
    }

    /// Waits until a run may need an owner.
    pub(super) async fn scan_wanted(&self) {
        self.0.scan.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<RunId, Arc<Notify>>> {
        self.0.owners.lock().expect("no code panics while it holds the wakers")
    }
}

/// The number of runs that have not ended, whoever owns them, as of the last look.
#[derive(Debug, Clone, Default)]
pub struct ActiveRuns(Arc<AtomicUsize>);

impl ActiveRuns {
    pub(super) fn note(&self, runs: usize) {
        self.0.store(runs, Ordering::Relaxed);
    }

    pub fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

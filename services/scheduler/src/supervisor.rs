//! Looks for runs without an owner, takes their lease, and starts an owner for each.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use paceline_core::Result;
use paceline_core::ids::RunId;
use paceline_runtime::lifecycle::Shutdown;
use tokio::sync::Notify;
use tokio::task::{Id, JoinSet};

use crate::context::Context;
use crate::endings::Endings;
use crate::measured::Measured;
use crate::owner::{LEASE_TTL, Owner};

/// How often runs without an owner are looked for: with the lease's length it bounds the time of a fail-over.
const SCAN_INTERVAL: Duration = Duration::from_millis(500);

/// Wakes the owner of a run at once when a call in this process changed it. A lost wake costs one lease renewal's time.
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

    fn register(&self, run: &RunId) -> Arc<Notify> {
        self.lock().entry(run.clone()).or_default().clone()
    }

    fn forget(&self, run: &RunId) {
        self.lock().remove(run);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<RunId, Arc<Notify>>> {
        self.0.owners.lock().expect("no code panics while it holds the wakers")
    }
}

/// How many runs go on, whoever owns them, as of the last look.
#[derive(Debug, Clone, Default)]
pub struct Active(Arc<AtomicUsize>);

impl Active {
    pub fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// Owns what it can get until `shutdown`, then waits for its owners to give their leases up. Keeps the ends of runs all the while.
pub async fn supervise(context: Context, wakers: Wakers, shutdown: Shutdown) {
    let (mut endings, ended) = (Endings::new(context.clone()), Arc::new(Notify::new()));
    let measured = Measured::new(&context.config.instruments.metrics, &context.ports.producers);
    let ledger = context.ports.ledger.clone();
    // Each in a box: together they would make the future of the whole role large.
    let owning = Box::pin(own((context, measured.clone()), wakers, shutdown.clone(), ended.clone()));
    let keeping = Box::pin(endings.keep_all(&ended, &shutdown));
    let reading = Box::pin(measured.keep_reading(&ledger, &shutdown));
    tokio::join!(owning, keeping, reading);
    Box::pin(endings.keep_last()).await;
}

async fn own((context, measured): (Context, Measured), wakers: Wakers, shutdown: Shutdown, ended: Arc<Notify>) {
    let (owners, owned) = (JoinSet::new(), BTreeMap::new());
    let active = Active::default();
    let mut supervisor = Supervisor { context, measured, wakers, shutdown, ended, active, owners, owned };
    let mut is_away = false;
    while !supervisor.shutdown.is_triggered() {
        match supervisor.scan().await {
            Ok(()) => is_away = false,
            Err(error) if !std::mem::replace(&mut is_away, true) => {
                tracing::warn!(%error, "cannot look for runs; trying again")
            }
            Err(_) => (),
        }
        supervisor.wait().await;
    }
    while let Some(ended) = supervisor.owners.join_next_with_id().await {
        supervisor.note_end(ended);
    }
}

struct Supervisor {
    context: Context,
    measured: Measured,
    wakers: Wakers,
    shutdown: Shutdown,
    /// Signalled when an owner has ended, and so its run may have.
    ended: Arc<Notify>,
    active: Active,
    owners: JoinSet<()>,
    owned: BTreeMap<Id, RunId>,
}

impl Supervisor {
    async fn scan(&mut self) -> Result<()> {
        let runs = self.context.ports.ledger.runs.active().await?;
        self.active.0.store(runs.len(), Ordering::Relaxed);
        self.measured.active(runs.len());
        for run in runs {
            if self.owned.values().any(|owned| *owned == run) {
                continue;
            }
            if let Some(fence) = self.context.ports.ledger.leases.take(&run, &self.context.config.id, LEASE_TTL).await?
            {
                let waker = self.wakers.register(&run);
                let signals = (waker, self.active.clone());
                let context = (self.context.clone(), self.measured.own(&run, fence));
                let owner = Owner::new(context, run.clone(), fence, signals, self.shutdown.clone());
                let id = self.owners.spawn(owner.work()).id();
                self.owned.insert(id, run);
            }
        }
        Ok(())
    }

    async fn wait(&mut self) {
        let wakers = self.wakers.clone();
        // In this order, so that the simulation replays; every branch only leads to the next scan, so none can starve another.
        tokio::select! {
            biased;
            () = self.shutdown.triggered() => (),
            Some(ended) = self.owners.join_next_with_id() => self.note_end(ended),
            () = wakers.0.scan.notified() => (),
            () = tokio::time::sleep(SCAN_INTERVAL) => (),
        }
    }

    fn note_end(&mut self, ended: std::result::Result<(Id, ()), tokio::task::JoinError>) {
        let id = match &ended {
            Ok((id, ())) => *id,
            Err(panic) => {
                let run = self.owned.get(&panic.id()).map(RunId::to_string);
                tracing::error!(run, %panic, "an owner ended badly; the run is taken up again");
                panic.id()
            }
        };
        if let Some(run) = self.owned.remove(&id) {
            self.wakers.forget(&run);
            self.ended.notify_one();
        }
    }
}

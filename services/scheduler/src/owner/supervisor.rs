//! Looks for runs without an owner, takes their lease (L9), and starts an owner for each.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use paceline_core::Result;
use paceline_core::ids::RunId;
use paceline_core::ports::leases::Fence;
use paceline_runtime::lifecycle::Shutdown;
use tokio::sync::Notify;
use tokio::task::{Id, JoinError, JoinSet};

use super::endings::RunEndings;
use super::signals::{ActiveRuns, Wakers};
use super::state::{Claim, LEASE_TTL, Owner};
use crate::context::Context;
use crate::metrics::SchedulerMetrics;

/// The pause between two looks for runs without an owner: with the lease's length it bounds the time of a fail-over.
const SCAN_INTERVAL: Duration = Duration::from_millis(500);

/// Owns what it can get until `shutdown`, then waits for its owners to give their leases up. Keeps the ends of runs all the while.
pub async fn supervise(context: Context, wakers: Wakers, shutdown: Shutdown) {
    let mut endings = RunEndings::new(context.clone());
    let metrics = SchedulerMetrics::new(&context.config.instruments.metrics, &context.ports.producers);
    let ledger = context.ports.ledger.clone();
    let supervisor = Supervisor::new(context, metrics.clone(), wakers, shutdown.clone());
    let ended = supervisor.ended.clone();
    // Each in a box: together they would make the future of the whole role large.
    let owning = Box::pin(supervisor.own());
    let keeping = Box::pin(endings.keep_all(&ended, &shutdown));
    let reading = Box::pin(metrics.keep_reading(&ledger, &shutdown));
    tokio::join!(owning, keeping, reading);
    Box::pin(endings.keep_last()).await;
}

struct Supervisor {
    context: Context,
    metrics: SchedulerMetrics,
    wakers: Wakers,
    shutdown: Shutdown,
    /// Signalled when an owner has ended, and so its run may have.
    ended: Arc<Notify>,
    active: ActiveRuns,
    owners: JoinSet<()>,
    owned: BTreeMap<Id, RunId>,
}

impl Supervisor {
    fn new(context: Context, metrics: SchedulerMetrics, wakers: Wakers, shutdown: Shutdown) -> Self {
        let (ended, active, owners, owned) = (Arc::default(), ActiveRuns::default(), JoinSet::new(), BTreeMap::new());
        Self { context, metrics, wakers, shutdown, ended, active, owners, owned }
    }

    async fn own(mut self) {
        let mut is_away = false;
        while !self.shutdown.is_triggered() {
            match self.scan().await {
                Ok(()) => is_away = false,
                Err(error) if !std::mem::replace(&mut is_away, true) => {
                    tracing::warn!(%error, code = %error.code, "cannot look for runs; trying again")
                }
                Err(_) => (),
            }
            self.wait().await;
        }
        while let Some(ended) = self.owners.join_next_with_id().await {
            self.note_end(ended);
        }
    }

    async fn scan(&mut self) -> Result<()> {
        let runs = self.context.ports.ledger.runs.active().await?;
        self.active.note(runs.len());
        self.metrics.active(runs.len());
        for run in runs {
            if self.owned.values().any(|owned| *owned == run) {
                continue;
            }
            let leases = &self.context.ports.ledger.leases;
            if let Some(fence) = leases.acquire(&run, &self.context.config.id, LEASE_TTL).await? {
                self.start(run, fence);
            }
        }
        Ok(())
    }

    fn start(&mut self, run: RunId, fence: Fence) {
        let owner = Owner::new(Claim {
            context: self.context.clone(),
            run: run.clone(),
            fence,
            wake: self.wakers.register(&run),
            active: self.active.clone(),
            metrics: self.metrics.own(&run, fence),
            shutdown: self.shutdown.clone(),
        });
        let id = self.owners.spawn(owner.work()).id();
        self.owned.insert(id, run);
    }

    async fn wait(&mut self) {
        let wakers = self.wakers.clone();
        // In this order, so that the simulation replays; every branch only leads to the next scan, so none can starve another.
        tokio::select! {
            biased;
            () = self.shutdown.triggered() => (),
            Some(ended) = self.owners.join_next_with_id() => self.note_end(ended),
            () = wakers.scan_wanted() => (),
            () = tokio::time::sleep(SCAN_INTERVAL) => (),
        }
    }

    fn note_end(&mut self, ended: std::result::Result<(Id, ()), JoinError>) {
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

//! A ledger in the hands of a role that has joined its mesh: a ledger that was lost whole gets the role's protocol back.
//!
//! Roles ask for the protocol at their start. One that is running when the ledger loses everything, the note too, goes on: its worker
//! announces itself, its owner restores the run. A role that starts after that finds workers and runs, and must not take them for those of
//! a mesh from before protocols were noted. So the protocol is noted before each first trace of a role.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::error::codes;
use crate::error::{Error, Result};
use crate::ids::RunId;
use crate::ports::runs::Created;
use crate::ports::workers::WorkerInfo;
use crate::ports::{Ledger, Mesh, Runs, Workers};
use crate::run::{KeptRun, RunChange, RunRecord, RunSpec};

/// `ledger` for a role with `protocol`, which is that of the mesh. Of its ports only those that leave a first trace are wrapped.
pub fn joined(ledger: Ledger, protocol: u32) -> Ledger {
    let note = Note { mesh: ledger.mesh.clone(), protocol };
    Ledger {
        runs: Arc::new(Noting { inner: ledger.runs, note: note.clone() }),
        workers: Arc::new(Noting { inner: ledger.workers, note }),
        ..ledger
    }
}

#[derive(Clone)]
struct Note {
    mesh: Arc<dyn Mesh>,
    protocol: u32,
}

impl Note {
    /// A ledger that another protocol took over meanwhile is left alone.
    async fn leave(&self) -> Result<()> {
        let (noted, protocol) = (self.mesh.adopt_protocol(None, self.protocol).await?, self.protocol);
        if noted == protocol {
            return Ok(());
        }
        Err(Error::failed_precondition(format!(
            "the mesh has protocol {noted} now, and this role has protocol {protocol}: stop it, or give it the version that the mesh runs"
        ))
        .coded(codes::PROTOCOL_DIFFERS))
    }
}

/// A port whose first traces are preceded by the note.
struct Noting<Port: ?Sized> {
    inner: Arc<Port>,
    note: Note,
}

#[async_trait]
impl Runs for Noting<dyn Runs> {
    async fn create(&self, spec: &RunSpec, request_id: &str) -> Result<Created> {
        self.note.leave().await?;
        self.inner.create(spec, request_id).await
    }

    async fn find(&self, run: &RunId) -> Result<Option<RunRecord>> {
        self.inner.find(run).await
    }

    async fn list(&self, before: Option<&RunId>, limit: usize) -> Result<Vec<RunId>> {
        self.inner.list(before, limit).await
    }

    async fn active(&self) -> Result<Vec<RunId>> {
        self.inner.active().await
    }

    async fn change(&self, run: &RunId, change: &RunChange) -> Result<RunRecord> {
        self.inner.change(run, change).await
    }

    async fn unkept(&self, after: Option<&RunId>, limit: usize) -> Result<Vec<RunId>> {
        self.inner.unkept(after, limit).await
    }

    async fn note_kept(&self, run: &RunId, revision: u64) -> Result<()> {
        self.inner.note_kept(run, revision).await
    }

    async fn restore(&self, kept: &KeptRun) -> Result<RunRecord> {
        self.note.leave().await?;
        self.inner.restore(kept).await
    }
}

#[async_trait]
impl Workers for Noting<dyn Workers> {
    async fn announce(&self, worker: &WorkerInfo, ttl: Duration) -> Result<()> {
        self.note.leave().await?;
        self.inner.announce(worker, ttl).await
    }

    async fn forget(&self, worker_id: &str) -> Result<()> {
        self.inner.forget(worker_id).await
    }

    async fn alive(&self) -> Result<Vec<WorkerInfo>> {
        self.inner.alive().await
    }
}

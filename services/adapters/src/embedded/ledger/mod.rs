//! The ledger in one SQLite file. Every step is one change of [`Database`], so it is atomic, it answers after its commit, and
//! steps that come together share an fsync.
//!
//! The port's methods are here, a line each; what they do is in [`runs`], [`leases`], [`ranges`], [`record`], [`restore`],
//! [`snapshot`], [`unkept`], [`protocol`] and [`workers`] as plain functions over a connection, [`schema`] is what they touch.

mod leases;
mod protocol;
mod ranges;
mod record;
mod restore;
mod runs;
mod schema;
mod snapshot;
mod unkept;
mod workers;

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use paceline_core::clock::SharedClock;
use paceline_core::ids::RunId;
use paceline_core::job::Range;
use paceline_core::pacing::Pacing;
use paceline_core::ports::Ledger;
use paceline_core::ports::ledger::{Created, Fence, Recorded, Reservation, RunChange, Settled, WorkerInfo};
use paceline_core::run::{KeptRun, RunRecord, RunSpec, RunState, Snapshot};
use paceline_core::seqset::SeqSet;
use paceline_core::{Error, Result};

use super::database::Database;
use record::Bits;

pub struct EmbeddedLedger {
    database: Database,
    clock: SharedClock,
}

impl EmbeddedLedger {
    /// Opens or makes `folder/ledger.db`. Leases left by an earlier process are void: it is gone, or the folder would be locked.
    pub fn open(folder: &Path, clock: SharedClock) -> Result<Self> {
        let schema = [schema::TABLES, unkept::TABLE, protocol::TABLE, leases::VOID_ALL].concat();
        Ok(Self { database: Database::open(folder, "ledger.db", &schema)?, clock })
    }
}

#[async_trait]
impl Ledger for EmbeddedLedger {
    async fn create_run(&self, spec: &RunSpec, request_id: &str) -> Result<Created> {
        let (spec, request_id) = (spec.clone(), request_id.to_owned());
        self.database.write(move |c| runs::create(c, &spec, &request_id)).await
    }

    async fn run(&self, run: &RunId) -> Result<Option<RunRecord>> {
        let run = run.clone();
        self.database.read(move |c| runs::find(c, &run)).await
    }

    async fn run_ids(&self, before: Option<&RunId>, limit: usize) -> Result<Vec<RunId>> {
        let before = before.cloned();
        self.database.read(move |c| runs::list(c, before.as_ref(), limit)).await
    }

    async fn active_run_ids(&self) -> Result<Vec<RunId>> {
        self.database.read(runs::list_active).await
    }

    async fn unkept_run_ids(&self, after: Option<&RunId>, limit: usize) -> Result<Vec<RunId>> {
        let after = after.cloned();
        self.database.read(move |c| unkept::list(c, after.as_ref(), limit)).await
    }

    async fn note_kept(&self, run: &RunId, revision: u64) -> Result<()> {
        let run = run.clone();
        self.database.write(move |c| Ok(unkept::note_kept(c, &run, revision)?)).await
    }

    async fn change_run(&self, run: &RunId, change: &RunChange) -> Result<RunRecord> {
        let (run, change, clock) = (run.clone(), change.clone(), self.clock.clone());
        self.database.write(move |c| runs::change(c, &run, &change, clock.wall_ms())).await
    }

    async fn lease(&self, run: &RunId, owner: &str, ttl: Duration) -> Result<Option<Fence>> {
        let (run, owner, clock) = (run.clone(), owner.to_owned(), self.clock.clone());
        self.database.write(move |c| leases::take(c, &run, &owner, ttl, clock.wall_ms())).await
    }

    async fn release(&self, run: &RunId, fence: Fence) -> Result<()> {
        let run = run.clone();
        self.database.write(move |c| leases::release(c, &run, fence)).await
    }

    async fn keep(&self, run: &RunId, fence: Fence, ttl: Duration, pacing: &Pacing) -> Result<RunRecord> {
        let (run, pacing, clock) = (run.clone(), *pacing, self.clock.clone());
        self.database.write(move |c| leases::keep(c, &run, fence, ttl, &pacing, clock.wall_ms())).await
    }

    async fn reserve(&self, run: &RunId, fence: Fence, reservation: &Reservation) -> Result<Range> {
        let (run, reservation, clock) = (run.clone(), reservation.clone(), self.clock.clone());
        self.database.write(move |c| ranges::reserve(c, &run, fence, &reservation, clock.wall_ms())).await
    }

    async fn confirm(&self, run: &RunId, fence: Fence, range: &Range, producer: &str) -> Result<()> {
        let (run, range, producer) = (run.clone(), *range, producer.to_owned());
        self.database.write(move |c| ranges::confirm(c, &run, fence, &range, &producer)).await
    }

    async fn outstanding(&self, run: &RunId) -> Result<Vec<Range>> {
        let run = run.clone();
        self.database.read(move |c| ranges::outstanding(c, &run)).await
    }

    async fn advance_state(
        &self,
        run: &RunId,
        fence: Fence,
        next: RunState,
        failure: Option<&str>,
    ) -> Result<RunRecord> {
        let (run, failure, clock) = (run.clone(), failure.map(str::to_owned), self.clock.clone());
        self.database.write(move |c| runs::advance(c, &run, fence, next, failure.as_deref(), clock.wall_ms())).await
    }

    async fn record(&self, group: &str, worker: &str, settled: &[Settled]) -> Result<Recorded> {
        let by_run = record::split_by_run(settled);
        let (group, worker, clock) = (group.to_owned(), worker.to_owned(), self.clock.clone());
        self.database.write(move |c| record::record(c, &group, &worker, &by_run, clock.wall_ms())).await
    }

    async fn forget(&self, run: &RunId, group: &str, seqs: &[u64]) -> Result<u64> {
        let (run, group, seqs) = (run.clone(), group.to_owned(), seqs.to_vec());
        self.database.write(move |c| restore::forget(c, &run, &group, &seqs)).await
    }

    async fn restore_run(&self, kept: &KeptRun) -> Result<RunRecord> {
        let kept = kept.clone();
        self.database.write(move |c| restore::restore_run(c, &kept)).await
    }

    async fn snapshot(&self, run: &RunId, group: &str) -> Result<Option<Snapshot>> {
        let (run, group, clock) = (run.clone(), group.to_owned(), self.clock.clone());
        self.database.read(move |c| snapshot::read(c, &run, &group, clock.wall_ms())).await
    }

    async fn admitted(&self, run: &RunId, group: &str) -> Result<SeqSet> {
        self.seqs(run, group, Bits::Admitted).await
    }

    async fn dead(&self, run: &RunId, group: &str) -> Result<SeqSet> {
        self.seqs(run, group, Bits::Dead).await
    }

    async fn heartbeat(&self, worker: &WorkerInfo, ttl: Duration) -> Result<()> {
        let (worker, clock) = (worker.clone(), self.clock.clone());
        self.database.write(move |c| workers::announce(c, &worker, ttl, clock.wall_ms())).await
    }

    async fn forget_worker(&self, worker_id: &str) -> Result<()> {
        let worker_id = worker_id.to_owned();
        self.database.write(move |c| workers::forget(c, &worker_id)).await
    }

    async fn workers(&self) -> Result<Vec<WorkerInfo>> {
        let clock = self.clock.clone();
        self.database.read(move |c| workers::alive(c, clock.wall_ms())).await
    }

    async fn protocol(&self) -> Result<Option<u32>> {
        let clock = self.clock.clone();
        self.database.read(move |c| protocol::read(c, clock.wall_ms())).await
    }

    async fn adopt_protocol(&self, found: Option<u32>, mine: u32) -> Result<u32> {
        let clock = self.clock.clone();
        self.database.write(move |c| protocol::adopt(c, found, mine, clock.wall_ms())).await
    }

    async fn check(&self) -> Result<String> {
        let version =
            self.database.read(|c| c.query_row("SELECT sqlite_version()", [], |row| row.get::<_, String>(0))).await?;
        Ok(format!("sqlite {version} at {}", self.database.path().display()))
    }
}

impl EmbeddedLedger {
    async fn seqs(&self, run: &RunId, group: &str, bits: Bits) -> Result<SeqSet> {
        let (id, group) = (run.clone(), group.to_owned());
        let found = self.database.read(move |c| record::seqs(c, &id, &group, bits)).await?;
        found.ok_or_else(|| unknown(run))
    }
}

fn unknown(run: &RunId) -> Error {
    Error::not_found(format!("run {run} is not in the ledger"))
}

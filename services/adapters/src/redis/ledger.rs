//! The port over Redis: each method is one step of the file that it names.

use std::time::Duration;

use async_trait::async_trait;
use paceline_core::Result;
use paceline_core::ids::RunId;
use paceline_core::job::Range;
use paceline_core::pacing::Pacing;
use paceline_core::ports::Ledger;
use paceline_core::ports::ledger::{Created, Fence, Recorded, Reservation, RunChange, Settled, WorkerInfo};
use paceline_core::run::{KeptRun, RunRecord, RunSpec, RunState, Snapshot};
use paceline_core::seqset::SeqSet;
use tokio::sync::OnceCell;

use super::config::{Place, RedisConfig};
use super::connection::Connection;
use super::keys::Keys;
use super::scripts::Scripts;

pub struct RedisLedger {
    pub(super) connection: Connection,
    pub(super) keys: Keys,
    pub(super) scripts: Scripts,
    /// Set once it is known that [`Keys::unkept`] has the ends of before.
    pub(super) has_ends_of_before: OnceCell<()>,
}

impl RedisLedger {
    /// Reaches the server, so a wrong address shows at once. It reconnects by itself later on.
    pub async fn connect(config: RedisConfig) -> Result<Self> {
        let connection = Connection::open(&config).await?;
        let (keys, scripts) = (Keys::new(&config.namespace), Scripts::new());
        Ok(Self { connection, keys, scripts, has_ends_of_before: OnceCell::new() })
    }

    /// Its sentinels and the servers that they know, each with what it is or with what is wrong. None, if there are no sentinels.
    pub async fn look(config: &RedisConfig) -> Result<Vec<(String, Result<String>)>> {
        match config.place()? {
            Place::Server(_) => Ok(Vec::new()),
            Place::Sentinels(sentinels) => Ok(super::look::look(&sentinels).await),
        }
    }
}

#[async_trait]
impl Ledger for RedisLedger {
    async fn create_run(&self, spec: &RunSpec, request_id: &str) -> Result<Created> {
        self.create_run_once(spec, request_id).await
    }

    async fn run(&self, run: &RunId) -> Result<Option<RunRecord>> {
        self.read_run(run).await
    }

    async fn run_ids(&self, before: Option<&RunId>, limit: usize) -> Result<Vec<RunId>> {
        self.list_runs(before, limit).await
    }

    async fn active_run_ids(&self) -> Result<Vec<RunId>> {
        self.list_active_runs().await
    }

    async fn unkept_run_ids(&self, after: Option<&RunId>, limit: usize) -> Result<Vec<RunId>> {
        self.list_unkept(after, limit).await
    }

    async fn note_kept(&self, run: &RunId, revision: u64) -> Result<()> {
        self.note_end_kept(run, revision).await
    }

    async fn change_run(&self, run: &RunId, change: &RunChange) -> Result<RunRecord> {
        self.apply_change(run, change).await
    }

    async fn lease(&self, run: &RunId, owner: &str, ttl: Duration) -> Result<Option<Fence>> {
        self.take_lease(run, owner, ttl).await
    }

    async fn release(&self, run: &RunId, fence: Fence) -> Result<()> {
        self.release_lease(run, fence).await
    }

    async fn keep(&self, run: &RunId, fence: Fence, ttl: Duration, pacing: &Pacing) -> Result<RunRecord> {
        self.keep_lease(run, fence, ttl, pacing).await
    }

    async fn reserve(&self, run: &RunId, fence: Fence, reservation: &Reservation) -> Result<Range> {
        self.reserve_range(run, fence, reservation).await
    }

    async fn confirm(&self, run: &RunId, fence: Fence, range: &Range, producer: &str) -> Result<()> {
        self.confirm_range(run, fence, range, producer).await
    }

    async fn outstanding(&self, run: &RunId) -> Result<Vec<Range>> {
        self.list_outstanding(run).await
    }

    async fn advance_state(
        &self,
        run: &RunId,
        fence: Fence,
        next: RunState,
        failure: Option<&str>,
    ) -> Result<RunRecord> {
        self.apply_advance(run, fence, next, failure).await
    }

    async fn record(&self, group: &str, worker: &str, settled: &[Settled]) -> Result<Recorded> {
        self.record_settled(group, worker, settled).await
    }

    async fn forget(&self, run: &RunId, group: &str, seqs: &[u64]) -> Result<u64> {
        self.forget_jobs(run, group, seqs).await
    }

    async fn restore_run(&self, kept: &KeptRun) -> Result<RunRecord> {
        self.bring_back(kept).await
    }

    async fn snapshot(&self, run: &RunId, group: &str) -> Result<Option<Snapshot>> {
        self.read_snapshot(run, group).await
    }

    async fn admitted(&self, run: &RunId, group: &str) -> Result<SeqSet> {
        self.read_bitmaps(run, |chunk| self.keys.done(run, group, chunk)).await
    }

    async fn dead(&self, run: &RunId, group: &str) -> Result<SeqSet> {
        self.read_bitmaps(run, |chunk| self.keys.dead(run, group, chunk)).await
    }

    async fn heartbeat(&self, worker: &WorkerInfo, ttl: Duration) -> Result<()> {
        self.announce_worker(worker, ttl).await
    }

    async fn forget_worker(&self, worker_id: &str) -> Result<()> {
        self.drop_worker(worker_id).await
    }

    async fn workers(&self) -> Result<Vec<WorkerInfo>> {
        self.list_workers().await
    }

    async fn protocol(&self) -> Result<Option<u32>> {
        self.read_protocol().await
    }

    async fn adopt_protocol(&self, found: Option<u32>, mine: u32) -> Result<u32> {
        self.replace_protocol(found, mine).await
    }

    async fn check(&self) -> Result<String> {
        self.check_server().await
    }
}

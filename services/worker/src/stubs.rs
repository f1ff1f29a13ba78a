//! Ports for this crate's tests: a sink that answers by a script, a ledger that only counts, a broker that is never asked.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use paceline_core::clock::SystemClock;
use paceline_core::document::{Document, Status};
use paceline_core::ids::RunId;
use paceline_core::job::Range;
use paceline_core::pacing::Pacing;
use paceline_core::policy::Policy;
use paceline_core::ports::broker::{Confirm, Consumer, DeadLetter, Depth, Message, Settle};
use paceline_core::ports::ledger::{Created, Fence, Recorded, Reservation, RunChange, Settled, WorkerInfo};
use paceline_core::ports::sink::{StoredId, Verdict};
use paceline_core::ports::{Broker, Ledger, Sink};
use paceline_core::run::{KeptRun, RunRecord, RunSpec, RunState, Snapshot};
use paceline_core::seam::NoFaults;
use paceline_core::seqset::SeqSet;
use paceline_core::{Error, Result};
use paceline_runtime::readiness::Readiness;
use paceline_runtime::telemetry::metrics::Metrics;
use paceline_runtime::telemetry::traces::Traces;

use crate::Config;
use crate::handlers::Handlers;
use crate::health::Health;
use crate::measured::Measured;
use crate::stats::Stats;

fn not_asked<T>() -> Result<T> {
    Err(Error::internal("no test asks for this"))
}

/// One answer of the sink to one request: by the seqs that were sent, or for the whole of it.
pub type Answer = Box<dyn Fn(&[Document]) -> Result<Vec<Verdict>> + Send>;

/// Answers by its script, then stores everything. Keeps what it was sent.
#[derive(Default)]
pub struct ScriptedSink {
    pub script: Mutex<VecDeque<Answer>>,
    /// Seqs of each request.
    pub requests: Mutex<Vec<Vec<u64>>>,
    /// What it stored.
    pub stored: Mutex<Vec<Document>>,
}

#[async_trait]
impl Sink for ScriptedSink {
    async fn prepare(&self) -> Result<()> {
        Ok(())
    }

    async fn upsert(&self, documents: &[Document]) -> Result<Vec<Verdict>> {
        self.requests.lock().unwrap().push(documents.iter().map(|document| document.seq).collect());
        let answer = self.script.lock().unwrap().pop_front();
        let verdicts = answer.map_or_else(|| Ok(vec![Verdict::Stored; documents.len()]), |answer| answer(documents))?;
        let stored = documents.iter().zip(&verdicts).filter(|(_, verdict)| **verdict == Verdict::Stored);
        self.stored.lock().unwrap().extend(stored.map(|(document, _)| document.clone()));
        Ok(verdicts)
    }

    async fn count(&self, _: &RunId, _: Status) -> Result<u64> {
        not_asked()
    }

    async fn ids(&self, _: &RunId, _: Option<&StoredId>, _: usize) -> Result<Vec<StoredId>> {
        not_asked()
    }

    async fn get(&self, _: &RunId, _: &str) -> Result<Option<Document>> {
        not_asked()
    }

    async fn delete(&self, _: &RunId, _: &str) -> Result<bool> {
        not_asked()
    }

    async fn keep_run(&self, _: &KeptRun) -> Result<()> {
        not_asked()
    }

    async fn kept_run(&self, _: &RunId) -> Result<Option<KeptRun>> {
        not_asked()
    }

    async fn kept_runs(&self, _: Option<&RunId>, _: usize) -> Result<Vec<KeptRun>> {
        not_asked()
    }

    async fn check(&self) -> Result<String> {
        Ok("scripted".into())
    }
}

/// Keeps what was recorded.
#[derive(Default)]
pub struct CountingLedger(pub Mutex<Vec<Settled>>);

#[async_trait]
impl Ledger for CountingLedger {
    async fn record(&self, _: &str, _: &str, settled: &[Settled]) -> Result<Recorded> {
        self.0.lock().unwrap().extend_from_slice(settled);
        Ok(Recorded { counted: settled.len() as u64, ..Recorded::default() })
    }

    async fn heartbeat(&self, _: &WorkerInfo, _: Duration) -> Result<()> {
        Ok(())
    }

    async fn forget_worker(&self, _: &str) -> Result<()> {
        Ok(())
    }

    async fn check(&self) -> Result<String> {
        Ok("counting".into())
    }

    async fn create_run(&self, _: &RunSpec, _: &str) -> Result<Created> {
        not_asked()
    }

    async fn run(&self, _: &RunId) -> Result<Option<RunRecord>> {
        not_asked()
    }

    async fn run_ids(&self, _: Option<&RunId>, _: usize) -> Result<Vec<RunId>> {
        not_asked()
    }

    async fn unkept_run_ids(&self, _: Option<&RunId>, _: usize) -> Result<Vec<RunId>> {
        not_asked()
    }

    async fn note_kept(&self, _: &RunId, _: u64) -> Result<()> {
        not_asked()
    }

    async fn active_run_ids(&self) -> Result<Vec<RunId>> {
        not_asked()
    }

    async fn change_run(&self, _: &RunId, _: &RunChange) -> Result<RunRecord> {
        not_asked()
    }

    async fn lease(&self, _: &RunId, _: &str, _: Duration) -> Result<Option<Fence>> {
        not_asked()
    }

    async fn release(&self, _: &RunId, _: Fence) -> Result<()> {
        not_asked()
    }

    async fn keep(&self, _: &RunId, _: Fence, _: Duration, _: &Pacing) -> Result<RunRecord> {
        not_asked()
    }

    async fn reserve(&self, _: &RunId, _: Fence, _: &Reservation) -> Result<Range> {
        not_asked()
    }

    async fn confirm(&self, _: &RunId, _: Fence, _: &Range, _: &str) -> Result<()> {
        not_asked()
    }

    async fn outstanding(&self, _: &RunId) -> Result<Vec<Range>> {
        not_asked()
    }

    async fn advance_state(&self, _: &RunId, _: Fence, _: RunState, _: Option<&str>) -> Result<RunRecord> {
        not_asked()
    }

    async fn forget(&self, _: &RunId, _: &str, _: &[u64]) -> Result<u64> {
        not_asked()
    }

    async fn restore_run(&self, _: &KeptRun) -> Result<RunRecord> {
        not_asked()
    }

    async fn snapshot(&self, _: &RunId, _: &str) -> Result<Option<Snapshot>> {
        not_asked()
    }

    async fn admitted(&self, _: &RunId, _: &str) -> Result<SeqSet> {
        not_asked()
    }

    async fn dead(&self, _: &RunId, _: &str) -> Result<SeqSet> {
        not_asked()
    }

    async fn workers(&self) -> Result<Vec<WorkerInfo>> {
        not_asked()
    }

    async fn protocol(&self) -> Result<Option<u32>> {
        not_asked()
    }

    async fn adopt_protocol(&self, _: Option<u32>, _: u32) -> Result<u32> {
        not_asked()
    }
}

/// Answers a check, nothing else.
#[derive(Default)]
pub struct SilentBroker {
    pub is_away: AtomicBool,
    pub blocked: Mutex<Option<String>>,
}

#[async_trait]
impl Broker for SilentBroker {
    async fn check(&self) -> Result<String> {
        if self.is_away.load(Ordering::Relaxed) { Err(Error::unavailable("away")) } else { Ok("silent".into()) }
    }

    fn blocked(&self) -> Option<String> {
        self.blocked.lock().unwrap().clone()
    }

    async fn declare(&self, _: &str, _: &str) -> Result<()> {
        not_asked()
    }

    async fn publish(&self, _: &str, _: Vec<Message>) -> Result<Vec<Confirm>> {
        not_asked()
    }

    async fn consume(&self, _: &str, _: &str, _: u16) -> Result<Consumer> {
        not_asked()
    }

    async fn depth(&self, _: &str, _: &str) -> Result<Depth> {
        not_asked()
    }

    async fn purge(&self, _: &str, _: &str) -> Result<u64> {
        not_asked()
    }

    async fn dead_letters(&self, _: &str, _: &str, _: usize) -> Result<Vec<DeadLetter>> {
        not_asked()
    }
}

/// How the deliveries of one consumer were settled, and whether it is still there.
#[derive(Default)]
pub struct Settlements {
    pub is_lost: AtomicBool,
    pub acked: AtomicUsize,
    pub dead: Mutex<Vec<String>>,
    /// A dead queue that confirms nothing.
    pub is_dead_queue_stuck: AtomicBool,
}

pub struct NotingSettle(pub Arc<Settlements>);

#[async_trait]
impl Settle for NotingSettle {
    fn is_live(&self) -> bool {
        !self.0.is_lost.load(Ordering::Relaxed)
    }

    fn ack(self: Box<Self>) {
        self.0.acked.fetch_add(1, Ordering::Relaxed);
    }

    async fn retry(self: Box<Self>, _: Message, _: Duration) -> Result<()> {
        not_asked()
    }

    async fn dead(self: Box<Self>, _: Message, reason: String) -> Result<()> {
        if self.0.is_dead_queue_stuck.load(Ordering::Relaxed) {
            tokio::time::sleep(Duration::from_secs(10)).await;
            return Err(Error::unavailable("not confirmed within 10 s"));
        }
        self.0.dead.lock().unwrap().push(reason);
        Ok(())
    }

    fn give_back(self: Box<Self>) {}
}

/// A worker of one queue over these stubs that nobody runs.
pub fn worker(queue: &str, broker: Arc<dyn Broker>) -> (Arc<Config>, Arc<Stats>, Arc<Health>) {
    let sink = Arc::new(ScriptedSink::default());
    let config =
        Config { queues: BTreeMap::from([(queue.to_owned(), Policy::default())]), ..config(sink, Arc::default(), 1) };
    let stats = Arc::new(stats(&config));
    let health =
        Health::new(Readiness::new("worker", "w"), &Config { broker: broker.clone(), ..config.clone() }, &stats);
    (Arc::new(Config { broker, ..config }), stats, health)
}

pub fn config(sink: Arc<ScriptedSink>, ledger: Arc<CountingLedger>, batch_max: usize) -> Config {
    Config {
        id: "w".into(),
        version: "0.0.0",
        group: "main".into(),
        queues: BTreeMap::new(),
        consumers: 1,
        prefetch: 10,
        batch_max,
        grace: Duration::ZERO,
        broker: Arc::new(SilentBroker::default()),
        sink,
        ledger,
        handlers: Handlers::builtin(),
        clock: SystemClock::shared(),
        faults: Arc::new(NoFaults),
        traces: Traces::off(),
        metrics: Metrics::off(),
    }
}

pub fn stats(config: &Config) -> Stats {
    Stats::new(Measured::new(&config.metrics, config.queues.keys()))
}

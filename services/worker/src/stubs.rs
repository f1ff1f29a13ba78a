//! Ports for this crate's tests: a sink that answers by a script, a ledger that only counts, a broker that is never asked.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use paceline_core::clock::SystemClock;
use paceline_core::document::Document;
use paceline_core::ids::RunId;
use paceline_core::policy::Policy;
use paceline_core::ports::broker::{Confirm, Consumer, DeadLetter, Depth, Message, Settle};
use paceline_core::ports::counts::{EndedJob, Recorded};
use paceline_core::ports::documents::Verdict;
use paceline_core::ports::workers::WorkerInfo;
use paceline_core::ports::{Broker, Counts, DocumentWriter, Workers};
use paceline_core::run::Snapshot;
use paceline_core::seam::NoFaults;
use paceline_core::seqset::SeqSet;
use paceline_core::{Error, Result};
use paceline_runtime::instruments::Instruments;
use paceline_runtime::readiness::Readiness;

use crate::context::{Config, Context, Ports};
use crate::handlers::Handlers;
use crate::health::WorkerHealth;
use crate::metrics::{Stats, WorkerMetrics};

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
    /// The documents that are stored.
    pub stored: Mutex<Vec<Document>>,
}

#[async_trait]
impl DocumentWriter for ScriptedSink {
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

    async fn delete(&self, _: &RunId, _: &str) -> Result<bool> {
        not_asked()
    }

    async fn check(&self) -> Result<String> {
        Ok("scripted".into())
    }
}

/// Keeps what was recorded.
#[derive(Default)]
pub struct CountingLedger(pub Mutex<Vec<EndedJob>>);

#[async_trait]
impl Counts for CountingLedger {
    async fn record(&self, _: &str, _: &str, ended: &[EndedJob]) -> Result<Recorded> {
        self.0.lock().unwrap().extend_from_slice(ended);
        Ok(Recorded { counted: ended.len() as u64, ..Recorded::default() })
    }

    async fn snapshot(&self, _: &RunId, _: &str) -> Result<Option<Snapshot>> {
        not_asked()
    }

    async fn counted(&self, _: &RunId, _: &str) -> Result<SeqSet> {
        not_asked()
    }

    async fn dead(&self, _: &RunId, _: &str) -> Result<SeqSet> {
        not_asked()
    }

    async fn forget(&self, _: &RunId, _: &str, _: &[u64]) -> Result<u64> {
        not_asked()
    }
}

#[async_trait]
impl Workers for CountingLedger {
    async fn announce(&self, _: &WorkerInfo, _: Duration) -> Result<()> {
        Ok(())
    }

    async fn forget(&self, _: &str) -> Result<()> {
        Ok(())
    }

    async fn alive(&self) -> Result<Vec<WorkerInfo>> {
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

/// The settlements of one consumer's deliveries, and the state of the consumer.
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
pub fn worker(queue: &str, broker: Arc<dyn Broker>) -> (Arc<Context>, Arc<Stats>, Arc<WorkerHealth>) {
    let mut context = context(Arc::new(ScriptedSink::default()), Arc::default(), 1);
    context.config.queues = BTreeMap::from([(queue.to_owned(), Policy::default())]);
    context.ports.broker = broker;
    let stats = Arc::new(stats(&context));
    let health = WorkerHealth::new(Readiness::new("worker", "w"), &context, &stats);
    (Arc::new(context), stats, health)
}

pub fn context(sink: Arc<ScriptedSink>, ledger: Arc<CountingLedger>, batch_max: usize) -> Context {
    let config = Config {
        id: "w".into(),
        version: "0.0.0",
        group: "main".into(),
        queues: BTreeMap::new(),
        consumers: 1,
        prefetch: 10,
        batch_max,
        grace: Duration::ZERO,
        handlers: Handlers::builtin(),
        faults: Arc::new(NoFaults),
        instruments: Instruments::off("worker", "w"),
    };
    let ports = Ports {
        broker: Arc::new(SilentBroker::default()),
        sink,
        counts: ledger.clone(),
        workers: ledger,
        clock: SystemClock::shared(),
    };
    Context { config, ports }
}

pub fn stats(context: &Context) -> Stats {
    Stats::new(WorkerMetrics::new(&context.config.instruments.metrics, context.config.queues.keys()))
}

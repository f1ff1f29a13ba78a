//! The flusher: takes what has ended, as much as is there, and brings it through sink → ledger → ack, in that order (L4).
//!
//! One job waits for nothing, many jobs share a request, and a request waits a little for more while its predecessor is on its way.
//! A sink or ledger that is away is tried until it is back; meanwhile nothing is acknowledged, so prefetch bounds what is held.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use paceline_core::backoff::Backoff;
use paceline_core::document::{Document, Status};
use paceline_core::mutant::{self, Mutant};
use paceline_core::ports::broker::Delivery;
use paceline_core::ports::counts::Settled;
use paceline_core::ports::documents::Verdict;
use paceline_core::seam::Seam;
use paceline_runtime::lifecycle::Shutdown;
use paceline_runtime::telemetry::metrics::metered::as_example_of;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::context::Context;
use crate::execute::{Death, Ended, shorten};
use crate::health::Health;
use crate::intake::{Held, Hold};
use crate::measured::{self, DeathClass};
use crate::publishes::What;
use crate::stats::Stats;
use crate::way::{Steps, Way};
use crate::window::Window;

const RETRY_DELAY_MIN: Duration = Duration::from_millis(100);
const RETRY_DELAY_MAX: Duration = Duration::from_secs(1);
/// The longest that a request waits to grow. Its predecessor may hang, on an index that refuses for instance.
const GATHER_MAX: Duration = Duration::from_millis(50);

/// A cheap handle; every batch on its way has one.
#[derive(Clone)]
pub struct Flusher {
    context: Arc<Context>,
    stats: Arc<Stats>,
    health: Arc<Health>,
    window: Arc<Mutex<Window>>,
    /// On their way to the dead queue. No more than the deliveries that are held.
    dead_letters: Arc<Mutex<JoinSet<()>>>,
    crashed: Shutdown,
}

/// Documents and what they belong to, index by index.
#[derive(Default)]
struct Batch {
    documents: Vec<Document>,
    held: Vec<Held>,
}

impl Flusher {
    pub fn new(context: Arc<Context>, stats: Arc<Stats>, health: Arc<Health>, crashed: Shutdown) -> Self {
        let window = Arc::new(Mutex::new(Window::new(context.config.batch_max)));
        measured::show(&context.config.instruments.metrics, &stats, &health, &window);
        Self { context, stats, health, window, dead_letters: Arc::default(), crashed }
    }

    /// Until every sender is gone and everything is settled, or until a fault strikes.
    pub async fn run(self, mut queue: mpsc::Receiver<Held>) {
        let mut flights: JoinSet<()> = JoinSet::new();
        let crashed = self.crashed.clone();
        // Documents of the request before.
        let mut before = 0;
        let working = async {
            loop {
                let (batch_max, in_flight_max) = self.limits();
                if flights.len() >= in_flight_max {
                    flights.join_next().await;
                    continue;
                }
                let mut held = Vec::new();
                if queue.recv_many(&mut held, batch_max).await == 0 {
                    break;
                }
                while flights.try_join_next().is_some() {}
                self.gather(&mut held, before.min(batch_max), &mut queue, &mut flights).await;
                before = held.len();
                flights.spawn(self.clone().flush(held));
            }
            while flights.join_next().await.is_some() {}
            let mut dead_letters = std::mem::take(&mut *self.dead_letters());
            while dead_letters.join_next().await.is_some() {}
        };
        crashed.or(working).await;
    }

    /// Lets a request that has a predecessor on its way grow to that one's size: much of the sink's work for a request is the same
    /// whatever is in it. A job that comes alone follows one that came alone, and waits for nothing.
    async fn gather(
        &self,
        held: &mut Vec<Held>,
        enough: usize,
        queue: &mut mpsc::Receiver<Held>,
        flights: &mut JoinSet<()>,
    ) {
        let waited = tokio::time::sleep(GATHER_MAX);
        tokio::pin!(waited);
        while !flights.is_empty() && held.len() < enough {
            let room = enough - held.len();
            tokio::select! {
                biased;
                Some(_) = flights.join_next() => (),
                count = queue.recv_many(held, room) => if count == 0 { return },
                () = &mut waited => return,
            }
        }
    }

    async fn flush(self, held: Vec<Held>) {
        if self.dies(Seam::BeforeSink) {
            return;
        }
        if mutant::is_active(Mutant::AckBeforeSink) {
            return self.acknowledge_first(Batch::new(held)).await;
        }
        let mut pending = Batch::new(held);
        let mut backoff = Backoff::new(RETRY_DELAY_MIN, RETRY_DELAY_MAX);
        let _storing = self.health.storing();
        loop {
            pending.drop_lost();
            if pending.documents.is_empty() {
                return;
            }
            let sent_us = self.context.ports.clock.wall_us();
            let (stored, pause) = self.store(&mut pending).await;
            if !stored.documents.is_empty() && !self.finish(stored, sent_us).await {
                return;
            }
            if let Some(asked) = pause {
                self.back_off(&mut backoff, asked).await;
            }
        }
    }

    /// What comes after the sink, for what is stored; false if a fault struck.
    async fn finish(&self, mut stored: Batch, sent_us: i64) -> bool {
        let mut steps = Steps { sent_us, stored_us: self.context.ports.clock.wall_us(), ..Steps::default() };
        self.context.scribe().stored(stored.jobs(), steps);
        if self.dies(Seam::SinkToLedger) {
            return false;
        }
        self.record(&stored).await;
        steps.counted_us = self.context.ports.clock.wall_us();
        if self.dies(Seam::LedgerToAck) {
            return false;
        }
        self.settle(stored, steps);
        true
    }

    /// What a worker must never do; only the mutant does it.
    async fn acknowledge_first(self, batch: Batch) {
        let documents = batch.documents.clone();
        self.settle(batch, Steps::default());
        let settled: Vec<Settled> = documents.iter().map(settled).collect();
        if self.context.ports.sink.upsert(&documents).await.is_ok() {
            _ = self.context.ports.counts.record(&self.context.config.group, &self.context.config.id, &settled).await;
        }
    }

    /// One request with what the window allows. Answers what is stored, and a pause if the sink is overloaded or away; what it
    /// cannot take now stays in `pending`, and so does, as a dead document with the sink's reason, what it will never take.
    async fn store(&self, pending: &mut Batch) -> (Batch, Option<Duration>) {
        let rest = pending.split_off(self.window().batch());
        let mut stored = Batch::default();
        let sent = pending.documents.len();
        let answer = {
            let _counted = self.stats.measured.request(sent);
            let storing = self.health.sink.unless_late(self.context.ports.sink.upsert(&pending.documents));
            as_example_of(self.context.scribe().example(pending.ways()), storing).await
        };
        let pause = match answer {
            Ok(verdicts) if verdicts.len() == sent => self.take_verdicts(verdicts, pending, &mut stored),
            Ok(verdicts) => {
                let answered = verdicts.len();
                tracing::error!(answered, sent, "the sink answered for another number of documents");
                Some(Duration::ZERO)
            }
            Err(error) => {
                self.health.sink.set_failed(error.message.clone());
                tracing::warn!(%error, documents = sent, "storing again");
                self.prepare_again().await;
                Some(error.retry_after.unwrap_or_default())
            }
        };
        pending.append(rest);
        (stored, pause)
    }

    fn take_verdicts(&self, verdicts: Vec<Verdict>, sent: &mut Batch, stored: &mut Batch) -> Option<Duration> {
        self.health.judged(&verdicts);
        self.stats.measured.judged(&verdicts);
        Stats::add(&self.stats.batches, 1);
        Stats::add(&self.stats.batched_documents, verdicts.len());
        if verdicts.iter().all(|verdict| *verdict == Verdict::Stored) {
            self.window().accepted();
            stored.append(std::mem::take(sent));
            return None;
        }
        sent.split(verdicts, stored)
    }

    /// A sink that was away may have come back empty: without its template it would take documents in any shape.
    async fn prepare_again(&self) {
        if let Err(error) = self.context.ports.sink.prepare().await {
            tracing::debug!(%error, "the sink is not prepared yet");
        }
    }

    /// Overload: smaller batches, and a pause with jitter.
    async fn back_off(&self, backoff: &mut Backoff, asked: Duration) {
        self.window().refused();
        backoff.wait_at_least(asked).await;
    }

    async fn record(&self, batch: &Batch) {
        let settled: Vec<Settled> = batch.documents.iter().map(settled).collect();
        let mut backoff = Backoff::new(RETRY_DELAY_MIN, RETRY_DELAY_MAX);
        let recorded = loop {
            let recording =
                self.context.ports.counts.record(&self.context.config.group, &self.context.config.id, &settled);
            let recording = self.health.ledger.observe(recording);
            match as_example_of(self.context.scribe().example(batch.ways()), recording).await {
                Ok(recorded) => break recorded,
                Err(error) => {
                    tracing::warn!(%error, jobs = settled.len(), "counting again");
                    backoff.wait().await;
                }
            }
        };
        self.stats.measured.recorded(&recorded);
        if recorded.foreign > 0 {
            tracing::warn!(
                jobs = recorded.foreign,
                "stored jobs that no run has reserved; `paceline verify` names them"
            );
        }
        let now_ms = self.context.ports.clock.wall_ms();
        self.stats.stored(now_ms, batch.documents.iter().map(|document| document.scheduled_at));
        let dead = batch.held.iter().filter(|held| held.ended.dead.is_some()).count();
        Stats::add(&self.stats.dead, dead);
        Stats::add(&self.stats.processed, settled.len() - dead);
        self.measure(batch);
    }

    /// Jobs that are counted. One of those whose traces are recorded, if one is, is the example of its buckets.
    fn measure(&self, batch: &Batch) {
        let (scribe, now_us) = (self.context.scribe(), self.context.ports.clock.wall_us());
        let mut has_example = false;
        for (document, Held { ended, hold }) in batch.documents.iter().zip(&batch.held) {
            let is_example = !has_example && scribe.keeps(document, &ended.way, now_us);
            has_example |= is_example;
            let example = is_example.then_some((ended.way.trace, now_us));
            let end_to_end_us = now_us.saturating_sub(document.scheduled_at.saturating_mul(1_000)).max(0);
            hold.queue().executed(ended.way.took(), example);
            hold.queue().ended(ended.dead.as_ref().map(|death| death.class), end_to_end_us as f64 / 1e6, example);
        }
    }

    /// Acks at once. A dead queue that takes nothing holds back its own messages, and no other batch.
    fn settle(&self, batch: Batch, steps: Steps) {
        while self.dead_letters().try_join_next().is_some() {}
        let settled_us = self.context.ports.clock.wall_us();
        for (document, held) in batch.documents.into_iter().zip(batch.held) {
            let Held { ended: Ended { delivery, dead, mut way, .. }, hold } = held;
            match dead {
                None => {
                    delivery.ack();
                    self.context.scribe().settled(&document, &mut way, steps, settled_us);
                }
                Some(death) => {
                    let (context, health) = (self.context.clone(), self.health.clone());
                    _ = self.dead_letters().spawn(async move {
                        // What is not settled comes back, and has its end then.
                        if bury(delivery, (death.reason, &document), hold, &health).await {
                            context.scribe().settled(&document, &mut way, steps, context.ports.clock.wall_us());
                        }
                    });
                }
            }
        }
    }

    fn dead_letters(&self) -> MutexGuard<'_, JoinSet<()>> {
        self.dead_letters.lock().expect("no code panics while it holds the dead letters")
    }

    fn dies(&self, seam: Seam) -> bool {
        let dies = self.context.config.faults.strikes(seam) || self.crashed.is_triggered();
        if dies {
            self.crashed.trigger();
        }
        dies
    }

    /// (documents in a request, requests in flight) as of now.
    fn limits(&self) -> (usize, usize) {
        let window = self.window();
        (window.batch(), window.in_flight())
    }

    fn window(&self) -> MutexGuard<'_, Window> {
        self.window.lock().expect("no code panics while it holds the window")
    }
}

impl Batch {
    fn new(held: Vec<Held>) -> Self {
        let mut batch = Self { documents: Vec::with_capacity(held.len()), held: Vec::with_capacity(held.len()) };
        for mut held in held {
            batch.documents.push(held.ended.document.take().expect("a document is taken once"));
            batch.held.push(held);
        }
        batch
    }

    fn ways(&self) -> impl Iterator<Item = &Way> {
        self.held.iter().map(|held| &held.ended.way)
    }

    fn jobs(&mut self) -> impl Iterator<Item = (&Document, &mut Way)> {
        self.documents.iter().zip(&mut self.held).map(|(document, held)| (document, &mut held.ended.way))
    }

    /// Keeps the first `count` and answers the others.
    fn split_off(&mut self, count: usize) -> Self {
        let count = count.min(self.documents.len());
        Self { documents: self.documents.split_off(count), held: self.held.split_off(count) }
    }

    fn push(&mut self, document: Document, held: Held) {
        self.documents.push(document);
        self.held.push(held);
    }

    fn append(&mut self, mut other: Self) {
        self.documents.append(&mut other.documents);
        self.held.append(&mut other.held);
    }

    /// Lets go of what a lost consumer held: nothing of it is stored yet, and it is delivered again, maybe to another worker.
    fn drop_lost(&mut self) {
        let is_live = |held: &Held| held.ended.delivery.is_live();
        if self.held.iter().all(is_live) {
            return;
        }
        let all = std::mem::take(self);
        let jobs = all.documents.len();
        all.documents.into_iter().zip(all.held).filter(|(_, held)| is_live(held)).for_each(|(document, held)| {
            self.push(document, held);
        });
        tracing::info!(jobs = jobs - self.held.len(), "not stored: their consumer is gone, they are delivered again");
    }

    /// Moves what is stored to `stored` and keeps the rest; the longest pause that the sink asked for, if it did.
    fn split(&mut self, verdicts: Vec<Verdict>, stored: &mut Self) -> Option<Duration> {
        let all = std::mem::take(self);
        let mut pause = None;
        for ((verdict, document), mut held) in verdicts.into_iter().zip(all.documents).zip(all.held) {
            match verdict {
                Verdict::Stored => stored.push(document, held),
                Verdict::Retry { after, .. } => {
                    pause = pause.max(Some(after));
                    self.push(document, held);
                }
                Verdict::Reject { reason } if document.status == Status::Dead => {
                    let (run, trace) = (&document.run_id, document.trace_id.as_deref());
                    tracing::error!(%run, job = document.job_id, trace, reason, "the sink refuses even the record of a dead job");
                    stored.push(document, held);
                }
                Verdict::Reject { reason } => {
                    let reason = shorten(format!("the sink refused it: {reason}"));
                    held.ended.dead = Some(Death { class: DeathClass::RejectedBySink, reason: reason.clone() });
                    self.push(dead_document(document, reason), held);
                }
            }
        }
        pause
    }
}

/// Whether the dead queue has it.
async fn bury(delivery: Delivery, (reason, job): (String, &Document), hold: Hold, health: &Health) -> bool {
    let settled = delivery.dead(reason).await;
    health.publishes.tried(What::DeadLetter, &settled);
    if let Err(error) = &settled {
        let (run, trace) = (&job.run_id, job.trace_id.as_deref());
        tracing::warn!(%run, job = job.job_id, trace, %error, "a dead job's message is not settled; its consumer is made anew");
        hold.end_consumer();
    }
    settled.is_ok()
}

/// The record of a job whose own document the sink will not take: without the payload that it refused.
fn dead_document(document: Document, reason: String) -> Document {
    Document { status: Status::Dead, error: Some(reason), payload: serde_json::Map::new(), ..document }
}

fn settled(document: &Document) -> Settled {
    Settled { run: document.run_id.clone(), seq: document.seq, dead: document.status == Status::Dead }
}

#[cfg(test)]
#[path = "flush_tests.rs"]
mod tests;

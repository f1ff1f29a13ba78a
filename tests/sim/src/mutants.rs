//! Mutants of roles: each is a decorator of a port that a role is given, and breaks one rule there. The roles' own code knows no mutant.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt as _;
use paceline_core::Result;
use paceline_core::document::Document;
use paceline_core::ids::RunId;
use paceline_core::job::{RANGE_JOBS_MAX, Range};
use paceline_core::ports::broker::{Confirm, Consumer, DeadLetter, Delivery, Depth, Message, Settle};
use paceline_core::ports::documents::Verdict;
use paceline_core::ports::leases::Fence;
use paceline_core::ports::ranges::Reservation;
use paceline_core::ports::{Backends, Broker, DocumentWriter, KeptRuns, Ranges, Runs};
use paceline_core::run::KeptRun;
use tokio::time::Instant;

use crate::mutant::{self, Mutant};

/// The pause before a reservation is made again.
const AGAIN_AFTER: Duration = Duration::from_millis(10);

/// The ports of a role, with the decorator of the mutant that is active on this thread.
pub fn broken(Backends { mut broker, mut sink, mut ledger }: Backends) -> Backends {
    if mutant::is_active(Mutant::AckBeforeSink) {
        let held = Held::default();
        broker = Arc::new(Consuming { inner: broker, held: held.clone() });
        sink.writer = Arc::new(AckFirst { inner: sink.writer, held });
    }
    if mutant::is_active(Mutant::ConfirmBeforeBroker) {
        ledger.ranges = Arc::new(ConfirmAtOnce(ledger.ranges));
    }
    if mutant::is_active(Mutant::CursorNotIdempotent) {
        ledger.ranges = Arc::new(ReserveAgain { inner: ledger.ranges, ends: Mutex::default() });
    }
    if mutant::is_active(Mutant::NoteBeforeKept) {
        sink.runs = Arc::new(NoteFirst { inner: sink.runs, runs: ledger.runs.clone() });
    }
    Backends { broker, sink, ledger }
}

/// Deliveries by their number, which is never given twice: the job's id, and the way to settle.
#[derive(Default)]
struct Deliveries {
    next: u64,
    by_number: BTreeMap<u64, (String, Box<dyn Settle>)>,
}

/// Deliveries that a worker holds, until they are settled.
#[derive(Clone, Default)]
struct Held(Arc<Mutex<Deliveries>>);

impl Held {
    fn lock(&self) -> MutexGuard<'_, Deliveries> {
        self.0.lock().expect("no code panics while it holds the deliveries")
    }

    fn hold(&self, Delivery { message, redeliveries, given_up, settle }: Delivery) -> Delivery {
        let mut held = self.lock();
        let number = held.next;
        held.next += 1;
        held.by_number.insert(number, (message.id.clone(), settle));
        let settle = Box::new(Holding { held: self.clone(), number });
        Delivery { message, redeliveries, given_up, settle }
    }

    fn take(&self, number: u64) -> Option<Box<dyn Settle>> {
        self.lock().by_number.remove(&number).map(|(_, settle)| settle)
    }
}

/// A delivery whose ack may have been given already; then nothing is left to settle.
struct Holding {
    held: Held,
    number: u64,
}

#[async_trait]
impl Settle for Holding {
    fn is_live(&self) -> bool {
        self.held.lock().by_number.get(&self.number).is_none_or(|(_, settle)| settle.is_live())
    }

    fn ack(self: Box<Self>) {
        self.held.take(self.number).into_iter().for_each(|settle| settle.ack());
    }

    async fn retry(self: Box<Self>, message: Message, after: Duration) -> Result<()> {
        match self.held.take(self.number) {
            Some(settle) => settle.retry(message, after).await,
            None => Ok(()),
        }
    }

    async fn dead(self: Box<Self>, message: Message, reason: String) -> Result<()> {
        match self.held.take(self.number) {
            Some(settle) => settle.dead(message, reason).await,
            None => Ok(()),
        }
    }

    fn give_back(self: Box<Self>) {
        self.held.take(self.number).into_iter().for_each(|settle| settle.give_back());
    }
}

/// Hands out deliveries that [`AckFirst`] can acknowledge.
struct Consuming {
    inner: Arc<dyn Broker>,
    held: Held,
}

#[async_trait]
impl Broker for Consuming {
    async fn consume(&self, queue: &str, group: &str, prefetch: u16) -> Result<Consumer> {
        let Consumer { deliveries, closing } = self.inner.consume(queue, group, prefetch).await?;
        let held = self.held.clone();
        let deliveries = deliveries.map(move |delivery| delivery.map(|delivery| held.hold(delivery)));
        Ok(Consumer { deliveries: deliveries.boxed(), closing })
    }

    async fn declare(&self, queue: &str, group: &str) -> Result<()> {
        self.inner.declare(queue, group).await
    }

    async fn publish(&self, queue: &str, batch: Vec<Message>) -> Result<Vec<Confirm>> {
        self.inner.publish(queue, batch).await
    }

    async fn depth(&self, queue: &str, group: &str) -> Result<Depth> {
        self.inner.depth(queue, group).await
    }

    async fn purge(&self, queue: &str, group: &str) -> Result<u64> {
        self.inner.purge(queue, group).await
    }

    async fn dead_letters(&self, queue: &str, group: &str, limit: usize) -> Result<Vec<DeadLetter>> {
        self.inner.dead_letters(queue, group, limit).await
    }

    async fn check(&self) -> Result<String> {
        self.inner.check().await
    }
}

/// Acknowledges the jobs of each request before the request is stored (L4).
struct AckFirst {
    inner: Arc<dyn DocumentWriter>,
    held: Held,
}

#[async_trait]
impl DocumentWriter for AckFirst {
    async fn upsert(&self, documents: &[Document]) -> Result<Vec<Verdict>> {
        let ids: BTreeSet<&str> = documents.iter().map(|document| document.job_id.as_str()).collect();
        let acked: Vec<_> = self.held.lock().by_number.extract_if(.., |_, (id, _)| ids.contains(id.as_str())).collect();
        acked.into_iter().for_each(|(_, (_, settle))| settle.ack());
        self.inner.upsert(documents).await
    }

    async fn prepare(&self) -> Result<()> {
        self.inner.prepare().await
    }

    async fn delete(&self, run: &RunId, job_id: &str) -> Result<bool> {
        self.inner.delete(run, job_id).await
    }

    async fn check(&self) -> Result<String> {
        self.inner.check().await
    }
}

/// Confirms each range as soon as it is reserved, so before the broker has it (L5).
struct ConfirmAtOnce(Arc<dyn Ranges>);

#[async_trait]
impl Ranges for ConfirmAtOnce {
    async fn reserve(&self, run: &RunId, fence: Fence, reservation: &Reservation) -> Result<Range> {
        let range = self.0.reserve(run, fence, reservation).await?;
        _ = self.0.confirm(run, fence, &range, "nobody").await;
        Ok(range)
    }

    async fn confirm(&self, run: &RunId, fence: Fence, range: &Range, producer: &str) -> Result<()> {
        self.0.confirm(run, fence, range, producer).await
    }

    async fn outstanding(&self, run: &RunId) -> Result<Vec<Range>> {
        self.0.outstanding(run).await
    }
}

/// Reserves anew after a reservation whose outcome is unknown, also the jobs that fell due meanwhile, and takes the jobs of both for the
/// jobs of one (L6).
struct ReserveAgain {
    inner: Arc<dyn Ranges>,
    /// By run and epoch: the end of the last range that was answered.
    ends: Mutex<BTreeMap<(RunId, u64), u64>>,
}

impl ReserveAgain {
    fn answered(&self, run: &RunId, fence: Fence, range: Range, is_again: bool) -> Range {
        let mut ends = self.ends.lock().expect("no code panics while it holds the ends");
        let end = ends.insert((run.clone(), fence.epoch), range.end());
        match end.filter(|end| is_again && *end < range.first && range.end() - end <= RANGE_JOBS_MAX) {
            Some(first) => Range { first, count: range.end() - first, ..range },
            None => range,
        }
    }
}

/// The jobs that fall due within `elapsed`.
fn earned(reservation: &Reservation, elapsed: Duration) -> u64 {
    reservation.pacing.rate.map_or(0, |rate| (rate.per_second() * elapsed.as_secs_f64()) as u64)
}

#[async_trait]
impl Ranges for ReserveAgain {
    async fn reserve(&self, run: &RunId, fence: Fence, reservation: &Reservation) -> Result<Range> {
        let (begun, mut asked, mut is_again) = (Instant::now(), reservation.clone(), false);
        loop {
            match self.inner.reserve(run, fence, &asked).await {
                Err(error) if error.is_retryable() => is_again = true,
                reserved => return reserved.map(|range| self.answered(run, fence, range, is_again)),
            }
            tokio::time::sleep(AGAIN_AFTER).await;
            asked.count = (reservation.count + earned(reservation, begun.elapsed())).min(RANGE_JOBS_MAX);
        }
    }

    async fn confirm(&self, run: &RunId, fence: Fence, range: &Range, producer: &str) -> Result<()> {
        self.inner.confirm(run, fence, range, producer).await
    }

    async fn outstanding(&self, run: &RunId) -> Result<Vec<Range>> {
        self.inner.outstanding(run).await
    }
}

/// Notes each end as kept before the sink has it.
struct NoteFirst {
    inner: Arc<dyn KeptRuns>,
    runs: Arc<dyn Runs>,
}

#[async_trait]
impl KeptRuns for NoteFirst {
    async fn keep(&self, run: &KeptRun) -> Result<()> {
        if run.state.is_terminal() {
            self.runs.note_kept(&run.spec.run_id, run.revision).await?;
        }
        self.inner.keep(run).await
    }

    async fn find(&self, run: &RunId) -> Result<Option<KeptRun>> {
        self.inner.find(run).await
    }

    async fn list(&self, after: Option<&RunId>, limit: usize) -> Result<Vec<KeptRun>> {
        self.inner.list(after, limit).await
    }
}

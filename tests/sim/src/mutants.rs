//! Mutants of roles: each is a decorator of a port that a role is given, and breaks one rule there. The roles' own code knows no mutant.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt as _;
use paceline_core::Result;
use paceline_core::ids::RunId;
use paceline_core::job::{RANGE_JOBS_MAX, Range};
use paceline_core::mutant::{self, Mutant};
use paceline_core::ports::broker::{Confirm, Consumer, DeadLetter, Delivery, Depth, Message, Settle};
use paceline_core::ports::leases::Fence;
use paceline_core::ports::ranges::Reservation;
use paceline_core::ports::runs::Created;
use paceline_core::ports::{Backends, Broker, Ranges, Runs};
use paceline_core::run::{KeptRun, RunChange, RunRecord, RunSpec};
use tokio::time::Instant;

/// The pause before a reservation is made again.
const AGAIN_AFTER: Duration = Duration::from_millis(10);

/// The ports of a role, with the decorator of the mutant that is active on this thread.
pub fn broken(Backends { mut broker, sink, mut ledger }: Backends) -> Backends {
    if mutant::is_active(Mutant::AckBeforeSink) {
        broker = Arc::new(AckAtOnce(broker));
    }
    if mutant::is_active(Mutant::ConfirmBeforeBroker) {
        ledger.ranges = Arc::new(ConfirmAtOnce(ledger.ranges));
    }
    if mutant::is_active(Mutant::CursorNotIdempotent) {
        ledger.ranges = Arc::new(ReserveAgain { inner: ledger.ranges, ends: Mutex::default() });
    }
    if mutant::is_active(Mutant::NoteBeforeKept) {
        ledger.runs = Arc::new(NoteAtOnce(ledger.runs));
    }
    Backends { broker, sink, ledger }
}

/// Acknowledges each delivery before the worker has it, so before anything is stored (L4).
struct AckAtOnce(Arc<dyn Broker>);

#[async_trait]
impl Broker for AckAtOnce {
    async fn consume(&self, queue: &str, group: &str, prefetch: u16) -> Result<Consumer> {
        let Consumer { deliveries, closing } = self.0.consume(queue, group, prefetch).await?;
        let acked = deliveries.map(|delivery| {
            delivery.map(|Delivery { message, redeliveries, given_up, settle }| {
                settle.ack();
                Delivery { message, redeliveries, given_up, settle: Box::new(AlreadySettled) }
            })
        });
        Ok(Consumer { deliveries: acked.boxed(), closing })
    }

    async fn declare(&self, queue: &str, group: &str) -> Result<()> {
        self.0.declare(queue, group).await
    }

    async fn publish(&self, queue: &str, batch: Vec<Message>) -> Result<Vec<Confirm>> {
        self.0.publish(queue, batch).await
    }

    async fn depth(&self, queue: &str, group: &str) -> Result<Depth> {
        self.0.depth(queue, group).await
    }

    async fn purge(&self, queue: &str, group: &str) -> Result<u64> {
        self.0.purge(queue, group).await
    }

    async fn dead_letters(&self, queue: &str, group: &str, limit: usize) -> Result<Vec<DeadLetter>> {
        self.0.dead_letters(queue, group, limit).await
    }

    async fn check(&self) -> Result<String> {
        self.0.check().await
    }
}

/// A delivery that is acknowledged already.
struct AlreadySettled;

#[async_trait]
impl Settle for AlreadySettled {
    fn ack(self: Box<Self>) {}

    async fn retry(self: Box<Self>, _: Message, _: Duration) -> Result<()> {
        Ok(())
    }

    async fn dead(self: Box<Self>, _: Message, _: String) -> Result<()> {
        Ok(())
    }

    fn give_back(self: Box<Self>) {}
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
    /// By run: the end of the last range that was answered.
    ends: Mutex<BTreeMap<RunId, u64>>,
}

impl ReserveAgain {
    fn answered(&self, run: &RunId, range: Range, is_again: bool) -> Range {
        let mut ends = self.ends.lock().expect("no code panics while it holds the ends");
        let end = ends.insert(run.clone(), range.end());
        match end.filter(|end| is_again && *end < range.first) {
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
                reserved => return reserved.map(|range| self.answered(run, range, is_again)),
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

/// Notes each end as kept as soon as it is asked for, so before the sink has it.
struct NoteAtOnce(Arc<dyn Runs>);

#[async_trait]
impl Runs for NoteAtOnce {
    async fn unkept(&self, after: Option<&RunId>, limit: usize) -> Result<Vec<RunId>> {
        let unkept = self.0.unkept(after, limit).await?;
        for run in &unkept {
            if let Some(record) = self.0.find(run).await? {
                self.0.note_kept(run, record.revision).await?;
            }
        }
        Ok(unkept)
    }

    async fn note_kept(&self, run: &RunId, revision: u64) -> Result<()> {
        self.0.note_kept(run, revision).await
    }

    async fn create(&self, spec: &RunSpec, request_id: &str) -> Result<Created> {
        self.0.create(spec, request_id).await
    }

    async fn find(&self, run: &RunId) -> Result<Option<RunRecord>> {
        self.0.find(run).await
    }

    async fn list(&self, before: Option<&RunId>, limit: usize) -> Result<Vec<RunId>> {
        self.0.list(before, limit).await
    }

    async fn active(&self) -> Result<Vec<RunId>> {
        self.0.active().await
    }

    async fn change(&self, run: &RunId, change: &RunChange) -> Result<RunRecord> {
        self.0.change(run, change).await
    }

    async fn restore(&self, kept: &KeptRun) -> Result<RunRecord> {
        self.0.restore(kept).await
    }
}

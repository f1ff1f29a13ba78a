//! Takes reserved ranges to a producer and notes each confirm in the ledger; tries for ever, since a range exists once reserved.
//!
//! Whatever services and producers answer is retried, a refused login as much as silence: somebody can put it right while the run
//! goes on. Only what is wrong with the run itself ends it.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use paceline_core::error::{Error, ErrorKind};
use paceline_core::ids::RunId;
use paceline_core::job::Range;
use paceline_core::mutant::{self, Mutant};
use paceline_core::ports::ledger::Fence;
use paceline_core::trace::Sampling;
use paceline_runtime::backoff::Backoff;
use tokio::task::JoinSet;

use crate::Context;
use crate::measured::Measured;

/// Ranges of a run that are on their way at once, or wait for a producer that works and has room; the pacer holds back at that many.
pub const RANGES_IN_FLIGHT_MAX: usize = 32;
const RETRY_DELAY_MIN: Duration = Duration::from_millis(50);
const RETRY_DELAY_MAX: Duration = Duration::from_secs(1);

/// Why a range will never be confirmed by this owner.
#[derive(Debug)]
pub enum Fault {
    /// Another scheduler owns the run now.
    LeaseLost(Error),
    /// It can be published by nobody, ever; the run has failed.
    Unpublishable(Error),
}

pub struct Dispatcher {
    context: Context,
    measured: Measured,
    run: RunId,
    fence: Fence,
    /// Of one message of the run, at most.
    message_bytes: u64,
    /// Which of the run's traces are recorded.
    sampling: Sampling,
    waiting: VecDeque<Range>,
    /// First seqs of what is waiting or in flight.
    known: BTreeSet<u64>,
    tasks: JoinSet<(Range, Result<(), Fault>)>,
}

impl Dispatcher {
    pub fn new((context, measured): (Context, Measured), run: RunId, fence: Fence) -> Self {
        let (waiting, known, tasks) = (VecDeque::new(), BTreeSet::new(), JoinSet::new());
        Self { context, measured, run, fence, message_bytes: 0, sampling: Sampling::NONE, waiting, known, tasks }
    }

    /// Must be told before the first range is submitted.
    pub fn set_message_bytes(&mut self, bytes: u64) {
        self.message_bytes = bytes;
    }

    pub fn set_sampling(&mut self, sampling: Sampling) {
        self.sampling = sampling;
    }

    pub fn sampling(&self) -> Sampling {
        self.sampling
    }

    /// Whether another range can start at once.
    pub fn has_room(&self) -> bool {
        self.waiting.is_empty() && self.tasks.len() < RANGES_IN_FLIGHT_MAX
    }

    /// Ranges whose confirm is awaited.
    pub fn outstanding(&self) -> usize {
        self.known.len()
    }

    pub fn is_idle(&self) -> bool {
        self.known.is_empty()
    }

    /// The seq below which nothing is on its way any more, of a run whose next seq is `cursor`.
    pub fn confirmed_below(&self, cursor: u64) -> u64 {
        self.known.first().copied().unwrap_or(cursor).min(cursor)
    }

    /// A range that is on its way already is not sent a second time.
    pub fn submit(&mut self, range: Range) {
        if self.known.insert(range.first) {
            self.waiting.push_back(range);
            self.start_waiting();
        }
    }

    /// Waits for the next range to end; for ever when none is in flight. Cancel safe.
    pub async fn ended(&mut self) -> Result<(), Fault> {
        match self.tasks.join_next().await {
            None => std::future::pending().await,
            Some(Ok((range, outcome))) => {
                self.known.remove(&range.first);
                self.start_waiting();
                outcome
            }
            Some(Err(panic)) => Err(Fault::LeaseLost(Error::internal(format!("a dispatch ended badly: {panic}")))),
        }
    }

    fn start_waiting(&mut self) {
        while self.tasks.len() < RANGES_IN_FLIGHT_MAX {
            let Some(range) = self.waiting.pop_front() else { return };
            let bytes = range.count.saturating_mul(self.message_bytes);
            let what = (range, bytes, self.sampling);
            let delivery = deliver((self.context.clone(), self.measured.clone()), self.run.clone(), self.fence, what);
            self.tasks.spawn(async move { (range, delivery.await) });
        }
    }
}

/// Publishes, then confirms. L5: nothing is confirmed in the ledger before the broker has confirmed it.
async fn deliver(
    (context, measured): (Context, Measured),
    run: RunId,
    fence: Fence,
    (range, bytes, sampling): (Range, u64, Sampling),
) -> Result<(), Fault> {
    let mut backoff = Backoff::new(RETRY_DELAY_MIN, RETRY_DELAY_MAX);
    if mutant::is_active(Mutant::ConfirmBeforeBroker) {
        _ = context.ledger.confirm(&run, fence, &range, "nobody").await;
    }
    let mut has_failed = false;
    let producer = loop {
        let published = context.producers.publish(&run, &range, bytes, sampling).await;
        let counts = measured.counts();
        if published.is_ok() { &counts.confirmed } else { &counts.failed }.inc();
        match published {
            Ok(producer) => {
                counts.published.inc_by(range.count);
                break producer;
            }
            Err(error) if error.kind == ErrorKind::Unpublishable => return Err(Fault::Unpublishable(error)),
            Err(error) if !std::mem::replace(&mut has_failed, true) => {
                tracing::warn!(%run, first = range.first, count = range.count, %error, "publishing a range again")
            }
            Err(error) => tracing::debug!(%run, first = range.first, %error, "publishing a range once more"),
        }
        backoff.wait().await;
    };
    loop {
        match context.ledger.confirm(&run, fence, &range, &producer).await {
            Ok(()) => return Ok(()),
            Err(error) if error.kind == ErrorKind::Aborted => return Err(Fault::LeaseLost(error)),
            Err(error) => tracing::warn!(%run, first = range.first, %error, "confirming a range again"),
        }
        backoff.wait().await;
    }
}

//! Takes reserved ranges to a producer and notes each confirm in the ledger; tries for ever, since a range exists once reserved.
//!
//! Whatever services and producers answer is retried, a refused login as much as silence: somebody can put it right while the run
//! goes on. Only what is wrong with the run itself ends it.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use paceline_core::backoff::Backoff;
use paceline_core::error::{Error, ErrorKind};
use paceline_core::ids::RunId;
use paceline_core::job::Range;
use paceline_core::mutant::{self, Mutant};
use paceline_core::ports::leases::Fence;
use paceline_core::trace::Sampling;
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use crate::context::Context;
use crate::measured::Measured;
use crate::member::Ask;

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
    queue: Arc<Queue>,
    /// First seqs of what is waiting or in flight.
    known: BTreeSet<u64>,
    tasks: JoinSet<(Range, Result<(), Fault>)>,
}

/// What the run's queue did with its last range.
#[derive(Default)]
struct Queue {
    /// It took nothing.
    is_suspect: AtomicBool,
    /// Held by the one range that tries it then.
    turn: Mutex<()>,
}

impl Dispatcher {
    pub fn new((context, measured): (Context, Measured), run: RunId, fence: Fence) -> Self {
        let (waiting, queue, known, tasks) = (VecDeque::new(), Arc::default(), BTreeSet::new(), JoinSet::new());
        let (message_bytes, sampling) = (0, Sampling::NONE);
        Self { context, measured, run, fence, message_bytes, sampling, waiting, queue, known, tasks }
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
            let with = (self.context.clone(), self.measured.clone(), self.queue.clone());
            let delivery = deliver(with, self.run.clone(), self.fence, what);
            self.tasks.spawn(async move { (range, delivery.await) });
        }
    }
}

impl Queue {
    /// Publishes at once, or in turn while the queue is suspect.
    async fn offer<F>(&self, bytes: u64, publish: impl Fn(Ask) -> F) -> Result<String, Error>
    where
        F: Future<Output = Result<String, Error>>,
    {
        let turn = if self.is_suspect() { Some(self.turn.lock().await) } else { None };
        // The one before may have found that it is well again.
        let turn = turn.filter(|_| self.is_suspect());
        let published = publish(if turn.is_some() { Ask::Suspect } else { Ask::Range { bytes } }).await;
        match &published {
            Ok(_) => self.is_suspect.store(false, Ordering::Relaxed),
            Err(error) if error.kind == ErrorKind::ResourceExhausted => self.is_suspect.store(true, Ordering::Relaxed),
            Err(_) => (),
        }
        published
    }

    fn is_suspect(&self) -> bool {
        self.is_suspect.load(Ordering::Relaxed)
    }
}

/// Publishes, then confirms. L5: nothing is confirmed in the ledger before the broker has confirmed it.
async fn deliver(
    (context, measured, queue): (Context, Measured, Arc<Queue>),
    run: RunId,
    fence: Fence,
    (range, bytes, sampling): (Range, u64, Sampling),
) -> Result<(), Fault> {
    let mut backoff = Backoff::new(RETRY_DELAY_MIN, RETRY_DELAY_MAX);
    if mutant::is_active(Mutant::ConfirmBeforeBroker) {
        _ = context.ports.ledger.ranges.confirm(&run, fence, &range, "nobody").await;
    }
    let mut has_failed = false;
    let producer = loop {
        let publish = |ask| context.ports.producers.publish(&run, &range, ask, sampling);
        let published = queue.offer(bytes.max(1), publish).await;
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
        match context.ports.ledger.ranges.confirm(&run, fence, &range, &producer).await {
            Ok(()) => return Ok(()),
            Err(error) if error.kind == ErrorKind::Aborted => return Err(Fault::LeaseLost(error)),
            Err(error) => tracing::warn!(%run, first = range.first, %error, "confirming a range again"),
        }
        backoff.wait().await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;

    use super::*;

    /// Thirty ranges of a queue that is full for ten seconds of every try; how many tried at once, at the most, after the first ones.
    #[tokio::test(start_paused = true)]
    async fn a_queue_that_takes_nothing_gets_one_range_at_a_time_until_it_takes_one() {
        let (queue, is_full) = (Queue::default(), AtomicBool::new(true));
        let (trying, most) = (AtomicU64::new(0), AtomicU64::new(0));
        let publish = |_| async {
            most.fetch_max(trying.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_secs(10)).await;
            trying.fetch_sub(1, Ordering::Relaxed);
            if is_full.load(Ordering::Relaxed) { Err(Error::resource_exhausted("full")) } else { Ok("p".to_owned()) }
        };
        let all = || futures::future::join_all((0..30).map(|_| queue.offer(1, publish)));
        assert!(all().await.iter().all(Result::is_err));
        assert_eq!(most.swap(0, Ordering::Relaxed), 30, "nobody knew");
        assert!(all().await.iter().all(Result::is_err));
        assert_eq!(most.swap(0, Ordering::Relaxed), 1);
        is_full.store(false, Ordering::Relaxed);
        assert!(all().await.iter().all(Result::is_ok));
        // The first finds that it is well; the others, which waited for their turn, go on together.
        assert!(most.swap(0, Ordering::Relaxed) > 1 && !queue.is_suspect());
    }
}

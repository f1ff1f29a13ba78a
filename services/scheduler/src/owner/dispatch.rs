//! Takes reserved ranges to a producer, some at a time; tries for ever, since a range exists once reserved.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use paceline_core::error::Error;
use paceline_core::ids::RunId;
use paceline_core::job::Range;
use paceline_core::ports::leases::Fence;
use paceline_core::trace::Sampling;
use tokio::task::JoinSet;

use super::delivery::{Fault, RangeDelivery};
use super::turns::QueueTurns;
use crate::context::{Context, RANGES_IN_FLIGHT_MAX};
use crate::metrics::SchedulerMetrics;

pub struct Dispatcher {
    context: Context,
    metrics: SchedulerMetrics,
    run: RunId,
    fence: Fence,
    /// The most bytes that one message of the run can have.
    message_bytes: u64,
    /// The share of the run's traces that are sampled.
    sampling: Sampling,
    waiting: VecDeque<Range>,
    turns: Arc<QueueTurns>,
    /// First seqs of the ranges that wait or are in flight.
    known: BTreeSet<u64>,
    tasks: JoinSet<(Range, Result<(), Fault>)>,
}

impl Dispatcher {
    pub fn new(context: Context, metrics: SchedulerMetrics, run: RunId, fence: Fence) -> Self {
        let (waiting, turns, known, tasks) = (VecDeque::new(), Arc::default(), BTreeSet::new(), JoinSet::new());
        let (message_bytes, sampling) = (0, Sampling::NONE);
        Self { context, metrics, run, fence, message_bytes, sampling, waiting, turns, known, tasks }
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

    /// True if another range can start at once.
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

    /// The seq below which nothing is in flight any more, of a run whose next seq is `cursor`.
    pub fn confirmed_below(&self, cursor: u64) -> u64 {
        self.known.first().copied().unwrap_or(cursor).min(cursor)
    }

    /// A range that is in flight already is not sent a second time.
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
            let delivery = self.delivery(range);
            self.tasks.spawn(async move { (range, delivery.deliver().await) });
        }
    }

    fn delivery(&self, range: Range) -> RangeDelivery {
        RangeDelivery {
            context: self.context.clone(),
            metrics: self.metrics.clone(),
            turns: self.turns.clone(),
            run: self.run.clone(),
            fence: self.fence,
            range,
            bytes: range.count.saturating_mul(self.message_bytes),
            sampling: self.sampling,
        }
    }
}

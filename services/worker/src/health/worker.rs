//! The health of a worker, as its consumers, its flusher and its heartbeat tell it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use paceline_core::error::Error;
use paceline_core::ports::documents::Verdict;
use paceline_runtime::readiness::{Condition, HICCUP, Readiness};

use super::publishes::Publishes;
use crate::context::Context;
use crate::metrics::Stats;

pub struct WorkerHealth {
    pub(super) readiness: Readiness,
    /// The group of the worker's consumers.
    pub group: String,
    pub sink: Condition,
    pub ledger: Condition,
    pub stalled: Condition,
    pub publishes: Publishes,
    pub(super) broker: Condition,
    queues: BTreeMap<String, HeardQueue>,
    consumers_opened: AtomicU64,
    /// Batches in flight to the sink.
    storing: AtomicUsize,
}

/// A queue is heard while it has at least one open consumer.
struct HeardQueue {
    condition: Condition,
    open: Mutex<usize>,
}

/// One batch in flight to the sink; dropped when it has arrived.
pub struct Storing<'a>(&'a WorkerHealth);

impl WorkerHealth {
    pub fn new(readiness: Readiness, context: &Context, stats: &Arc<Stats>) -> Arc<Self> {
        let queue = |name: &String| {
            let condition = readiness.condition(&format!("queue {name}"));
            (name.clone(), HeardQueue { condition, open: Mutex::new(0) })
        };
        let health = Arc::new(Self {
            group: context.config.group.clone(),
            queues: context.config.queues.keys().map(queue).collect(),
            broker: readiness.tolerant("broker", HICCUP),
            sink: readiness.tolerant("sink", HICCUP),
            ledger: readiness.tolerant("ledger", HICCUP),
            stalled: readiness.condition("not stalled"),
            publishes: Publishes::new(readiness.tolerant("publishes", HICCUP)),
            consumers_opened: AtomicU64::new(0),
            storing: AtomicUsize::new(0),
            readiness,
        });
        health.show(context, stats);
        health
    }

    fn show(self: &Arc<Self>, context: &Context, stats: &Arc<Stats>) {
        let (broker, held, stalled) = (context.ports.broker.clone(), stats.clone(), stats.clone());
        self.readiness.fact("connections_rebuilt", move || broker.rebuilt());
        self.readiness.fact("held", move || Stats::get(&held.held));
        self.readiness.fact("stalled", move || Stats::get(&stalled.stalled));
        // The readiness is this value's, so it must not keep it.
        let open = Arc::downgrade(self);
        self.readiness.fact("consumers_open", move || open.upgrade().map_or(0, |health| health.consumers_open()));
        let (opened, consumers) =
            (Arc::downgrade(self), (context.config.consumers * context.config.queues.len()) as u64);
        self.readiness.fact("consumers_rebuilt", move || {
            let opened = opened.upgrade().map_or(0, |health| health.consumers_opened.load(Ordering::Relaxed));
            opened.saturating_sub(consumers)
        });
    }

    /// A consumer of `queue` is open.
    pub fn opened(&self, queue: &str) {
        self.consumers_opened.fetch_add(1, Ordering::Relaxed);
        let Some(queue) = self.queues.get(queue) else { return };
        let mut open = lock(&queue.open);
        *open += 1;
        queue.condition.set_ok();
    }

    /// A consumer of `queue` ended; `why` is shown if it was the last one.
    pub fn closed(&self, queue: &str, why: &str) {
        let Some(queue) = self.queues.get(queue) else { return };
        let mut open = lock(&queue.open);
        *open -= 1;
        if *open == 0 {
            queue.condition.set_failed(format!("no open consumer: {why}"));
        }
    }

    /// No consumer of `queue` could be opened.
    pub fn not_opened(&self, queue: &str, error: &Error) {
        let Some(queue) = self.queues.get(queue) else { return };
        if *lock(&queue.open) == 0 {
            queue.condition.set_failed(format!("no open consumer: {error}"));
        }
    }

    /// Each queue, with the number of its open consumers.
    pub fn open(&self) -> impl Iterator<Item = (&str, usize)> {
        self.queues.iter().map(|(name, queue)| (name.as_str(), *lock(&queue.open)))
    }

    fn consumers_open(&self) -> usize {
        self.queues.values().map(|queue| *lock(&queue.open)).sum()
    }

    /// True if every queue has an open consumer.
    pub fn hears_every_queue(&self) -> bool {
        self.queues.values().all(|queue| *lock(&queue.open) > 0)
    }

    pub(super) fn is_storing(&self) -> bool {
        self.storing.load(Ordering::Relaxed) > 0
    }

    pub fn storing(&self) -> Storing<'_> {
        self.storing.fetch_add(1, Ordering::Relaxed);
        Storing(self)
    }

    /// The sink's answer to a batch. A sink that takes nothing of a batch is as good as away.
    pub fn judged(&self, verdicts: &[Verdict]) {
        let refusal = |verdict: &Verdict| match verdict {
            Verdict::Retry { reason, .. } => Some(reason.clone()),
            Verdict::Stored | Verdict::Reject { .. } => None,
        };
        match verdicts.iter().map(refusal).collect::<Option<Vec<_>>>().and_then(|reasons| reasons.into_iter().next()) {
            Some(reason) => self.sink.set_failed(format!("it takes nothing now: {reason}")),
            None => self.sink.set_ok(),
        }
    }
}

impl Drop for Storing<'_> {
    fn drop(&mut self) {
        self.0.storing.fetch_sub(1, Ordering::Relaxed);
    }
}

fn lock(count: &Mutex<usize>) -> MutexGuard<'_, usize> {
    count.lock().expect("no code panics while it holds a count of consumers")
}

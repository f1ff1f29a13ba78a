//! Whether this worker can do its work: it hears every queue, and sink and ledger take what it has done.
//!
//! Consumers, flusher and heartbeat say what they see; what they cannot see, because nothing is to be done, is asked here.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use paceline_core::error::Error;
use paceline_core::ports::documents::Verdict;
use paceline_runtime::lifecycle::Shutdown;
use paceline_runtime::readiness::{Condition, HICCUP, Readiness};

use crate::context::Context;
use crate::publishes::Publishes;
use crate::stall;
use crate::stats::Stats;

/// How often broker and sink are reached for, the sink only while nothing is on its way to it.
const CHECK_INTERVAL: Duration = Duration::from_secs(2);

pub struct Health {
    readiness: Readiness,
    /// Of the worker's consumers.
    pub group: String,
    pub sink: Condition,
    pub ledger: Condition,
    pub stalled: Condition,
    pub publishes: Publishes,
    broker: Condition,
    queues: BTreeMap<String, Queue>,
    consumers_opened: AtomicU64,
    /// Batches on their way to the sink.
    storing: AtomicUsize,
}

/// A queue is heard while it has at least one open consumer.
struct Queue {
    condition: Condition,
    open: Mutex<usize>,
}

/// One batch on its way to the sink; dropped when it has arrived.
pub struct Storing<'a>(&'a Health);

impl Health {
    pub fn new(readiness: Readiness, context: &Context, stats: &Arc<Stats>) -> Arc<Self> {
        let queue = |name: &String| {
            let condition = readiness.condition(&format!("queue {name}"));
            (name.clone(), Queue { condition, open: Mutex::new(0) })
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

    /// It ended; `why`, as it shows when it was the last.
    pub fn closed(&self, queue: &str, why: &str) {
        let Some(queue) = self.queues.get(queue) else { return };
        let mut open = lock(&queue.open);
        *open -= 1;
        if *open == 0 {
            queue.condition.set_failed(format!("no open consumer: {why}"));
        }
    }

    /// None could be opened.
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

    pub fn hears_every_queue(&self) -> bool {
        self.queues.values().all(|queue| *lock(&queue.open) > 0)
    }

    pub fn storing(&self) -> Storing<'_> {
        self.storing.fetch_add(1, Ordering::Relaxed);
        Storing(self)
    }

    /// What the sink said of a batch. One that takes nothing of it is as good as away.
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

    /// For ever: asks the services, watches for stalls, follows the readiness.
    pub async fn watch(&self, context: &Context, stats: &Stats, shutdown: &Shutdown) {
        tokio::join!(
            self.broker.keep_checking(CHECK_INTERVAL, || context.ports.broker.check()),
            self.look_at_publishes(context),
            self.check_idle_sink(context),
            stall::watch(context, stats, self),
            self.readiness.follow(shutdown, async |_| ()),
        );
    }

    async fn look_at_publishes(&self, context: &Context) {
        loop {
            tokio::time::sleep(CHECK_INTERVAL).await;
            self.publishes.look(&*context.ports.broker);
        }
    }

    async fn check_idle_sink(&self, context: &Context) {
        loop {
            tokio::time::sleep(CHECK_INTERVAL).await;
            if self.storing.load(Ordering::Relaxed) == 0 {
                // The condition has heard it.
                _ = self.sink.observe(context.ports.sink.check()).await;
            }
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

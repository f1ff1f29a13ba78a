//! The counts of a whole worker. Series are looked up once, here.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use paceline_core::ports::counts::Recorded;
use paceline_core::ports::documents::Verdict;
use paceline_runtime::telemetry::metrics::names;
use paceline_runtime::telemetry::metrics::{Counter, Histogram, Metrics};

use super::load::Hands;
use super::queue::QueueMetrics;

/// The metrics of the whole worker.
pub struct WorkerMetrics {
    queues: BTreeMap<String, Arc<QueueMetrics>>,
    documents: Histogram,
    stored: Counter,
    retry: Counter,
    reject: Counter,
    duplicates: Counter,
    foreign: Counter,
    /// Requests in flight to the sink.
    requests: AtomicUsize,
}

/// A request in flight to the sink; dropped when it has arrived.
pub struct SinkRequest<'a>(&'a AtomicUsize);

impl WorkerMetrics {
    pub fn new<'a>(metrics: &Metrics, queues: impl IntoIterator<Item = &'a String>) -> Self {
        let queue = |name: &String| (name.clone(), Arc::new(QueueMetrics::new(metrics, name)));
        let verdict = |verdict| metrics.counter(&names::SINK_VERDICTS, &[verdict]);
        Self {
            queues: queues.into_iter().map(queue).collect(),
            documents: metrics.histogram(&names::BULK_DOCUMENTS, &[]),
            stored: verdict("stored"),
            retry: verdict("retry"),
            reject: verdict("reject"),
            duplicates: metrics.counter(&names::DUPLICATES, &[]),
            foreign: metrics.counter(&names::FOREIGN_JOBS, &[]),
            requests: AtomicUsize::new(0),
        }
    }

    /// The metrics of a queue that this worker consumes; metrics that nobody sees for any other queue.
    pub fn queue(&self, name: &str) -> Arc<QueueMetrics> {
        self.queues.get(name).cloned().unwrap_or_else(|| Arc::new(QueueMetrics::new(&Metrics::off(), name)))
    }

    /// The held jobs of every queue that this worker consumes.
    pub fn hands(&self) -> impl Iterator<Item = (&String, &Hands)> {
        self.queues.iter().map(|(name, queue)| (name, &queue.hands))
    }

    pub fn request(&self, documents: usize) -> SinkRequest<'_> {
        self.documents.observe(documents as f64);
        self.requests.fetch_add(1, Ordering::Relaxed);
        SinkRequest(&self.requests)
    }

    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }

    pub fn judged(&self, verdicts: &[Verdict]) {
        let count = |is_it: fn(&Verdict) -> bool| verdicts.iter().filter(|verdict| is_it(verdict)).count() as u64;
        let stored = count(|verdict| *verdict == Verdict::Stored);
        self.stored.inc_by(stored);
        if stored < verdicts.len() as u64 {
            self.retry.inc_by(count(|verdict| matches!(verdict, Verdict::Retry { .. })));
            self.reject.inc_by(count(|verdict| matches!(verdict, Verdict::Reject { .. })));
        }
    }

    pub fn recorded(&self, recorded: &Recorded) {
        self.duplicates.inc_by(recorded.duplicates);
        self.foreign.inc_by(recorded.foreign);
    }
}

impl Drop for SinkRequest<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

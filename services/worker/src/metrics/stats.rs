//! A worker's counts of itself, for its heartbeat, and beside them its metrics.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Serializer as _, V2Serializer};

use super::worker::WorkerMetrics;

/// The longest latency that is told apart: an hour.
const LATENCY_MS_MAX: u64 = 3_600_000;

pub struct Stats {
    pub processed: AtomicU64,
    pub dead: AtomicU64,
    pub retried: AtomicU64,
    /// Deliveries taken and not settled yet.
    pub held: AtomicU64,
    pub stalled: AtomicU64,
    pub batches: AtomicU64,
    pub batched_documents: AtomicU64,
    stored_latency_ms: Mutex<Histogram<u64>>,
    /// The same and more, for metrics.
    pub metrics: WorkerMetrics,
}

impl Stats {
    pub fn new(metrics: WorkerMetrics) -> Self {
        let histogram = Histogram::new_with_bounds(1, LATENCY_MS_MAX, 3).expect("the bounds are valid");
        Self {
            processed: AtomicU64::new(0),
            dead: AtomicU64::new(0),
            retried: AtomicU64::new(0),
            held: AtomicU64::new(0),
            stalled: AtomicU64::new(0),
            batches: AtomicU64::new(0),
            batched_documents: AtomicU64::new(0),
            stored_latency_ms: Mutex::new(histogram),
            metrics,
        }
    }

    pub fn add(counter: &AtomicU64, count: usize) {
        counter.fetch_add(count as u64, Ordering::Relaxed);
    }

    pub fn get(counter: &AtomicU64) -> u64 {
        counter.load(Ordering::Relaxed)
    }

    /// Notes jobs that fell due at `scheduled_ms` and are stored at `now_ms`.
    pub fn stored(&self, now_ms: i64, scheduled_ms: impl Iterator<Item = i64>) {
        let mut histogram = self.histogram();
        for scheduled in scheduled_ms {
            histogram.saturating_record(u64::try_from(now_ms - scheduled).unwrap_or(0));
        }
    }

    /// The histogram as base64 of HDR's V2 format.
    pub fn stored_latency(&self) -> String {
        let mut bytes = Vec::new();
        V2Serializer::new().serialize(&*self.histogram(), &mut bytes).expect("writing to memory cannot fail");
        STANDARD.encode(bytes)
    }

    fn histogram(&self) -> std::sync::MutexGuard<'_, Histogram<u64>> {
        self.stored_latency_ms.lock().expect("no code panics while it holds the histogram")
    }
}

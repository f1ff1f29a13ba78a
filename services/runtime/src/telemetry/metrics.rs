//! The metrics of a process: roles take their counters and histograms here once, and keep them; what is read only when somebody asks
//! is handed over as a closure. [`admin`](crate::admin) shows them at `/metrics`, [`push`] sends them as OTLP.
//!
//! One store a process, shared by the handles of its roles, and nothing outside of it: two meshes in one test have two.

#[cfg(test)]
mod docs;
mod expose;
pub mod metered;
pub mod names;
mod process;
pub mod push;
mod roles;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, UNIX_EPOCH};

use paceline_core::clock::{SharedClock, SystemClock};
use paceline_core::trace::TraceId;
use prometheus_client::metrics::exemplar::HistogramWithExemplars;
use prometheus_client::registry::Registry;

use expose::Labels;
use names::{Kind, Metric};

pub use expose::{CONTENT_TYPE, Readings};
/// A count that only grows; a clone is the same one. Adding is one atomic operation.
pub use prometheus_client::metrics::counter::Counter;

/// Where metrics are said of which trace an observation is.
const EXEMPLAR_LABEL: &str = "trace_id";

/// A cheap handle of one role. Off, what it hands out is counted and shown to nobody.
#[derive(Clone)]
pub struct Metrics {
    role: &'static str,
    clock: SharedClock,
    store: Option<Arc<Store>>,
}

struct Store {
    sources: Arc<Sources>,
    registry: Registry,
}

/// Where numbers come from.
#[derive(Default)]
struct Sources {
    cells: Mutex<Vec<Cell>>,
    readers: Mutex<Vec<(&'static str, Reader)>>,
}

type Reader = Box<dyn Fn(&mut Readings) + Send + Sync>;

/// A series that somebody adds to.
struct Cell {
    metric: &'static Metric,
    labels: Labels,
    value: CellValue,
}

enum CellValue {
    Counter(Counter),
    Histogram(Histogram),
}

/// Observations in buckets; a clone is the same one.
#[derive(Debug, Clone)]
pub struct Histogram(HistogramWithExemplars<[(&'static str, String); 1]>);

impl Metrics {
    pub fn off() -> Self {
        Self { role: "", clock: SystemClock::shared(), store: None }
    }

    /// A store of its own. `role` is that of the whole process: its only role, or `dev`.
    pub fn new(role: &'static str, clock: SharedClock) -> Self {
        let sources = Arc::new(Sources::default());
        let mut registry = Registry::default();
        registry.register_collector(Box::new(sources.clone()));
        let metrics = Self { role, clock, store: Some(Arc::new(Store { sources, registry })) };
        metrics.read(process::read);
        metrics
    }

    /// The same store, for another role of this process.
    pub fn of(&self, role: &'static str) -> Self {
        Self { role, ..self.clone() }
    }

    /// Whether anybody sees them: who must ask a service for a number asks only then.
    pub fn is_on(&self) -> bool {
        self.store.is_some()
    }

    pub(crate) fn clock(&self) -> &SharedClock {
        &self.clock
    }

    /// The counter of these labels, in the order of the table. Not for a hot path: keep what it answers.
    pub fn counter(&self, metric: &'static Metric, labels: &[&str]) -> Counter {
        let found = self.cell(metric, labels, |value| match value {
            CellValue::Counter(counter) => Some(counter.clone()),
            CellValue::Histogram(_) => None,
        });
        found.unwrap_or_default()
    }

    /// The same for a histogram.
    pub fn histogram(&self, metric: &'static Metric, labels: &[&str]) -> Histogram {
        let found = self.cell(metric, labels, |value| match value {
            CellValue::Histogram(histogram) => Some(histogram.clone()),
            CellValue::Counter(_) => None,
        });
        found.unwrap_or_else(|| Histogram::of(metric))
    }

    /// Numbers that are read whenever somebody asks. What it holds lives as long as the process, so it should hold its owner weakly.
    pub fn read(&self, read: impl Fn(&mut Readings) + Send + Sync + 'static) {
        if let Some(store) = &self.store {
            lock(&store.sources.readers).push((self.role, Box::new(read)));
        }
    }

    /// `None` while off.
    fn cell<T>(&self, metric: &'static Metric, labels: &[&str], of: impl Fn(&CellValue) -> Option<T>) -> Option<T> {
        let mut cells = lock(&self.store.as_ref()?.sources.cells);
        let labels = expose::labels(self.role, metric, labels);
        let known = cells.iter().find(|cell| std::ptr::eq(cell.metric, metric) && cell.labels == labels);
        if let Some(known) = known {
            return of(&known.value);
        }
        let value = match metric.kind {
            Kind::Histogram(_) => CellValue::Histogram(Histogram::of(metric)),
            Kind::Counter => CellValue::Counter(Counter::default()),
            Kind::Gauge | Kind::LowestGauge => return None,
        };
        let wanted = of(&value);
        cells.push(Cell { metric, labels, value });
        wanted
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").field("role", &self.role).field("is_on", &self.is_on()).finish()
    }
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sources")
    }
}

impl Histogram {
    fn of(metric: &Metric) -> Self {
        let bounds = match metric.kind {
            Kind::Histogram(bounds) => bounds,
            Kind::Counter | Kind::Gauge | Kind::LowestGauge => &[],
        };
        Self(HistogramWithExemplars::new(bounds.iter().copied()))
    }

    pub fn observe(&self, value: f64) {
        self.0.observe(value, None, None);
    }

    pub fn observe_time(&self, time: Duration) {
        self.observe(time.as_secs_f64());
    }

    /// As the example of its bucket, with a trace that can be looked at: one that is not recorded would lead nowhere.
    pub fn observe_as_example(&self, value: f64, trace: TraceId, now_us: i64) {
        let at = UNIX_EPOCH + Duration::from_micros(u64::try_from(now_us).unwrap_or(0));
        self.0.observe(value, Some([(EXEMPLAR_LABEL, trace.to_string())]), Some(at));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no code panics while it holds a part of the metrics")
}

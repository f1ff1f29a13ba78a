//! The handle by which a role reaches the metrics of its process: counters and histograms are taken here once and kept.

use std::fmt;
use std::sync::Arc;

use paceline_core::clock::{SharedClock, SystemClock};
use prometheus_client::encoding::prometheus_protobuf::{self, prometheus_data_model::MetricFamily};
use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;

use super::cells::{Cell, CellValue, Histogram, Sources, lock};
use super::names::{Metric, MetricKind};
use super::process;
use super::series::{MetricReadings, labels};

/// A cheap handle of one role. Off, its counters and histograms are shown to nobody.
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

    /// A handle of the same store, for another role of this process.
    pub fn of(&self, role: &'static str) -> Self {
        Self { role, ..self.clone() }
    }

    /// True if anybody sees them; a number that costs a call to a service is asked for only then.
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

    /// The histogram of these labels, in the order of the table. Not for a hot path: keep what it answers.
    pub fn histogram(&self, metric: &'static Metric, labels: &[&str]) -> Histogram {
        let found = self.cell(metric, labels, |value| match value {
            CellValue::Histogram(histogram) => Some(histogram.clone()),
            CellValue::Counter(_) => None,
        });
        found.unwrap_or_else(|| Histogram::of(metric))
    }

    /// Adds a reader, which is asked at each look. The reader lives as long as the process, so it should hold its owner weakly.
    pub fn read(&self, read: impl Fn(&mut MetricReadings) + Send + Sync + 'static) {
        if let Some(store) = &self.store {
            lock(&store.sources.readers).push((self.role, Box::new(read)));
        }
    }

    /// `None` while off.
    fn cell<T>(&self, metric: &'static Metric, values: &[&str], of: impl Fn(&CellValue) -> Option<T>) -> Option<T> {
        let mut cells = lock(&self.store.as_ref()?.sources.cells);
        let labels = labels(self.role, metric, values);
        let known = cells.iter().find(|cell| std::ptr::eq(cell.metric, metric) && cell.labels == labels);
        if let Some(known) = known {
            return of(&known.value);
        }
        let value = match metric.kind {
            MetricKind::Histogram(_) => CellValue::Histogram(Histogram::of(metric)),
            MetricKind::Counter => CellValue::Counter(Counter::default()),
            MetricKind::Gauge | MetricKind::LowestGauge => return None,
        };
        let wanted = of(&value);
        cells.push(Cell { metric, labels, value });
        wanted
    }

    /// Everything, as OpenMetrics text.
    pub fn text(&self) -> String {
        let mut text = String::new();
        if let Some(store) = &self.store {
            // Writing to a String cannot fail.
            _ = text::encode(&mut text, &store.registry);
        }
        text
    }

    /// Everything, in the data model of Prometheus.
    pub(super) fn families(&self) -> Vec<MetricFamily> {
        let families = self.store.as_ref().map(|store| prometheus_protobuf::encode(&store.registry));
        families.and_then(Result::ok).unwrap_or_default()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").field("role", &self.role).field("is_on", &self.is_on()).finish()
    }
}

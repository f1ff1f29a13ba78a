//! The sources of numbers: cells that somebody adds to, and readers that are asked at each look.

use std::fmt;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, UNIX_EPOCH};

use paceline_core::trace::TraceId;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::exemplar::HistogramWithExemplars;

use super::names::{Metric, MetricKind};
use super::series::{Labels, MetricReadings};

/// The label of an exemplar, whose value is the trace of the observation.
const EXEMPLAR_LABEL: &str = "trace_id";

/// All sources of a process.
#[derive(Default)]
pub struct Sources {
    pub cells: Mutex<Vec<Cell>>,
    pub readers: Mutex<Vec<(&'static str, Reader)>>,
}

/// Adds the numbers of one owner to the readings.
pub type Reader = Box<dyn Fn(&mut MetricReadings) + Send + Sync>;

/// A series that somebody adds to.
pub struct Cell {
    pub metric: &'static Metric,
    pub labels: Labels,
    pub value: CellValue,
}

pub enum CellValue {
    Counter(Counter),
    Histogram(Histogram),
}

/// Observations in buckets; a clone is the same one.
#[derive(Debug, Clone)]
pub struct Histogram(pub(super) HistogramWithExemplars<[(&'static str, String); 1]>);

impl Sources {
    /// Asks every reader.
    pub fn readings(&self) -> MetricReadings {
        let mut readings = MetricReadings::default();
        for (role, read) in lock(&self.readers).iter() {
            readings.role = role;
            read(&mut readings);
        }
        readings
    }
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sources")
    }
}

impl Histogram {
    /// An empty histogram with the bounds of the table.
    pub fn of(metric: &Metric) -> Self {
        let bounds = match metric.kind {
            MetricKind::Histogram(bounds) => bounds,
            MetricKind::Counter | MetricKind::Gauge | MetricKind::LowestGauge => &[],
        };
        Self(HistogramWithExemplars::new(bounds.iter().copied()))
    }

    pub fn observe(&self, value: f64) {
        self.0.observe(value, None, None);
    }

    pub fn observe_time(&self, time: Duration) {
        self.observe(time.as_secs_f64());
    }

    /// Observes, and keeps `trace` as the example of the bucket; the trace must be one that is recorded, or it would lead nowhere.
    pub fn observe_as_example(&self, value: f64, trace: TraceId, now_us: i64) {
        let at = UNIX_EPOCH + Duration::from_micros(u64::try_from(now_us).unwrap_or(0));
        self.0.observe(value, Some([(EXEMPLAR_LABEL, trace.to_string())]), Some(at));
    }
}

pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no code panics while it holds a part of the metrics")
}

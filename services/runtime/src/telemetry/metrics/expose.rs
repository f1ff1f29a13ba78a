//! From what the roles have counted to what is shown: OpenMetrics text for `/metrics`, families for OTLP. Each family comes once, in the
//! order of the table, with the series of every role in it.

use std::collections::BTreeMap;
use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::prometheus_protobuf::{self, prometheus_data_model::MetricFamily};
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _, MetricEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;

use super::names::{ALL, Kind, Metric};
use super::{Cell, CellValue, Metrics, Sources, lock};

/// What `/metrics` says it is.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const ROLE_LABEL: &str = "role";
static SECONDS: Unit = Unit::Seconds;
static BYTES: Unit = Unit::Bytes;

pub type Labels = Vec<(&'static str, String)>;

/// The labels of a series, `values` in the order of the table.
pub fn labels(role: &str, metric: &'static Metric, values: &[&str]) -> Labels {
    debug_assert_eq!(metric.labels.len(), values.len(), "{}", metric.name);
    let own = metric.labels.iter().copied().zip(values.iter().map(|value| (*value).to_owned()));
    metric.has_role().then(|| (ROLE_LABEL, role.to_owned())).into_iter().chain(own).collect()
}

/// A number that was read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value {
    Whole(u64),
    Real(f64),
}

impl Value {
    fn real(self) -> f64 {
        match self {
            Self::Whole(number) => number as f64,
            Self::Real(number) => number,
        }
    }

    fn plus(self, other: Self) -> Self {
        match (self, other) {
            (Self::Whole(one), Self::Whole(another)) => Self::Whole(one.saturating_add(another)),
            _ => Self::Real(self.real() + other.real()),
        }
    }

    fn lower(self, other: Self) -> Self {
        if other.real() < self.real() { other } else { self }
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Whole(number)
    }
}

impl From<usize> for Value {
    fn from(number: usize) -> Self {
        Self::Whole(number as u64)
    }
}

impl From<bool> for Value {
    fn from(is_so: bool) -> Self {
        Self::Whole(is_so.into())
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Real(number)
    }
}

/// What the readers say, for one look.
#[derive(Debug, Default)]
pub struct Readings {
    /// Of whoever is reading.
    role: &'static str,
    all: BTreeMap<(&'static str, Labels), Value>,
}

impl Readings {
    /// Of two roles of the same name, as the workers of `paceline dev`, the sum is shown, or the lowest where the table says so. What is
    /// unknown is not added: it is absent, never 0.
    pub fn add(&mut self, metric: &'static Metric, values: &[&str], value: impl Into<Value>) {
        let value = value.into();
        let fold = if metric.kind == Kind::LowestGauge { Value::lower } else { Value::plus };
        let series = (metric.name, labels(self.role, metric, values));
        self.all.entry(series).and_modify(|known| *known = fold(*known, value)).or_insert(value);
    }

    fn of(&self, metric: &Metric) -> Vec<(&Labels, Value)> {
        let mine = self.all.iter().filter(|((name, _), _)| *name == metric.name);
        mine.map(|((_, labels), value)| (labels, *value)).collect()
    }
}

impl Metrics {
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

impl Collector for Sources {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let readings = self.readings();
        let cells = lock(&self.cells);
        for metric in ALL {
            let mine: Vec<_> = cells.iter().filter(|cell| std::ptr::eq(cell.metric, *metric)).collect();
            let read = readings.of(metric);
            if !mine.is_empty() || !read.is_empty() {
                family(&mut encoder, metric, &mine, &read)?;
            }
        }
        Ok(())
    }
}

impl Sources {
    fn readings(&self) -> Readings {
        let mut readings = Readings::default();
        for (role, read) in lock(&self.readers).iter() {
            readings.role = role;
            read(&mut readings);
        }
        readings
    }
}

fn family(
    encoder: &mut DescriptorEncoder<'_>,
    metric: &Metric,
    cells: &[&Cell],
    read: &[(&Labels, Value)],
) -> fmt::Result {
    let (name, unit, kind) = described(metric);
    let mut encoder = encoder.encode_descriptor(name, metric.help, unit, kind)?;
    for cell in cells {
        let series = encoder.encode_family(&cell.labels)?;
        match &cell.value {
            CellValue::Counter(counter) => counter.encode(series)?,
            CellValue::Histogram(histogram) => histogram.0.encode(series)?,
        }
    }
    for (labels, value) in read {
        number(&mut encoder.encode_family(*labels)?, metric.kind, *value)?;
    }
    Ok(())
}

fn number(series: &mut MetricEncoder<'_>, kind: Kind, value: Value) -> fmt::Result {
    match (kind, value) {
        (Kind::Counter, Value::Whole(number)) => series.encode_counter::<NoLabelSet, _, u64>(&number, None),
        (Kind::Counter, Value::Real(number)) => series.encode_counter::<NoLabelSet, _, f64>(&number, None),
        (_, Value::Whole(number)) => series.encode_gauge(&number),
        (_, Value::Real(number)) => series.encode_gauge(&number),
    }
}

/// Name, unit and kind as the encoder wants them, which adds unit and `_total` to the name.
fn described(metric: &Metric) -> (&'static str, Option<&'static Unit>, MetricType) {
    let name = metric.name.strip_suffix("_total").unwrap_or(metric.name);
    let kind = match metric.kind {
        Kind::Counter => MetricType::Counter,
        Kind::Gauge | Kind::LowestGauge => MetricType::Gauge,
        Kind::Histogram(_) => MetricType::Histogram,
    };
    if let Some(name) = name.strip_suffix("_seconds") {
        return (name, Some(&SECONDS), kind);
    }
    match name.strip_suffix("_bytes") {
        Some(name) => (name, Some(&BYTES), kind),
        None => (name, None, kind),
    }
}

//! Makes the shown text and families from the sources: each family comes once, in the order of the table, with the series of
//! every role in it.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;

use super::cells::{Cell, CellValue, Sources, lock};
use super::names::{ALL, Metric, MetricKind};
use super::series::{Labels, MetricValue};

/// The content type of `/metrics`.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
static SECONDS: Unit = Unit::Seconds;
static BYTES: Unit = Unit::Bytes;

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

fn family(
    encoder: &mut DescriptorEncoder<'_>,
    metric: &Metric,
    cells: &[&Cell],
    read: &[(&Labels, MetricValue)],
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

fn number(series: &mut MetricEncoder<'_>, kind: MetricKind, value: MetricValue) -> fmt::Result {
    match (kind, value) {
        (MetricKind::Counter, MetricValue::Whole(number)) => series.encode_counter::<NoLabelSet, _, u64>(&number, None),
        (MetricKind::Counter, MetricValue::Real(number)) => series.encode_counter::<NoLabelSet, _, f64>(&number, None),
        (_, MetricValue::Whole(number)) => series.encode_gauge(&number),
        (_, MetricValue::Real(number)) => series.encode_gauge(&number),
    }
}

/// Name, unit and kind as the encoder wants them, which adds unit and `_total` to the name.
fn described(metric: &Metric) -> (&'static str, Option<&'static Unit>, MetricType) {
    let name = metric.name.strip_suffix("_total").unwrap_or(metric.name);
    let kind = match metric.kind {
        MetricKind::Counter => MetricType::Counter,
        MetricKind::Gauge | MetricKind::LowestGauge => MetricType::Gauge,
        MetricKind::Histogram(_) => MetricType::Histogram,
    };
    if let Some(name) = name.strip_suffix("_seconds") {
        return (name, Some(&SECONDS), kind);
    }
    match name.strip_suffix("_bytes") {
        Some(name) => (name, Some(&BYTES), kind),
        None => (name, None, kind),
    }
}

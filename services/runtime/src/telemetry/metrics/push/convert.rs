//! Turns Prometheus' data model into OTLP's: counters become cumulative sums, histograms keep explicit bounds, exemplars keep their trace.

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Exemplar, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics,
    ScopeMetrics, Sum, exemplar, metric, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use paceline_core::trace::TraceId;
use prometheus_client::encoding::prometheus_protobuf::prometheus_data_model as prometheus;

use crate::telemetry::Identity;

/// The process that tells, and the time since when it counts.
pub struct Told {
    resource: Resource,
    since_ns: u64,
}

impl Told {
    pub fn of(identity: Identity<'_>) -> Self {
        let attributes = identity.attributes().map(|(name, value)| attribute(name, &value)).to_vec();
        Self { resource: Resource { attributes, ..Resource::default() }, since_ns: 0 }
    }

    /// Counts begin with the first request.
    pub fn request(&mut self, families: &[prometheus::MetricFamily], now_us: i64) -> ExportMetricsServiceRequest {
        let now_ns = u64::try_from(now_us).unwrap_or(0).saturating_mul(1_000);
        if self.since_ns == 0 {
            self.since_ns = now_ns;
        }
        let times = Times { since_ns: self.since_ns, now_ns };
        let scope_metrics = ScopeMetrics {
            scope: Some(InstrumentationScope {
                name: "paceline".into(),
                version: env!("CARGO_PKG_VERSION").into(),
                ..InstrumentationScope::default()
            }),
            metrics: families.iter().map(|family| one(family, times)).collect(),
            ..ScopeMetrics::default()
        };
        let resource = Some(self.resource.clone());
        let all = ResourceMetrics { resource, scope_metrics: vec![scope_metrics], ..ResourceMetrics::default() };
        ExportMetricsServiceRequest { resource_metrics: vec![all] }
    }
}

/// The interval of a cumulative number.
#[derive(Clone, Copy)]
struct Times {
    since_ns: u64,
    now_ns: u64,
}

fn one(family: &prometheus::MetricFamily, times: Times) -> Metric {
    let cumulative = AggregationTemporality::Cumulative.into();
    let data = match family.r#type() {
        prometheus::MetricType::Counter => metric::Data::Sum(Sum {
            data_points: numbers(family, times),
            aggregation_temporality: cumulative,
            is_monotonic: true,
        }),
        prometheus::MetricType::Histogram => metric::Data::Histogram(Histogram {
            data_points: family.metric.iter().filter_map(|series| histogram(series, times)).collect(),
            aggregation_temporality: cumulative,
        }),
        _ => metric::Data::Gauge(Gauge { data_points: numbers(family, times) }),
    };
    let unit = match family.unit.as_str() {
        "seconds" => "s",
        "bytes" => "By",
        other => other,
    };
    Metric {
        name: family.name.clone(),
        description: family.help.clone(),
        unit: unit.into(),
        data: Some(data),
        ..Metric::default()
    }
}

fn numbers(family: &prometheus::MetricFamily, Times { since_ns, now_ns }: Times) -> Vec<NumberDataPoint> {
    let number = |series: &prometheus::Metric| {
        let counted = series.counter.as_ref().map(|counter| counter.value);
        let value = counted.or(series.gauge.as_ref().map(|gauge| gauge.value))?;
        Some(NumberDataPoint {
            attributes: attributes(&series.label),
            start_time_unix_nano: if counted.is_some() { since_ns } else { 0 },
            time_unix_nano: now_ns,
            value: Some(number_data_point::Value::AsDouble(value)),
            ..NumberDataPoint::default()
        })
    };
    family.metric.iter().filter_map(number).collect()
}

fn histogram(series: &prometheus::Metric, Times { since_ns, now_ns }: Times) -> Option<HistogramDataPoint> {
    let found = series.histogram.as_ref()?;
    let finite: Vec<_> = found.bucket.iter().filter(|bucket| bucket.upper_bound.is_finite()).collect();
    let mut below = 0;
    let mut bucket_counts: Vec<u64> = finite
        .iter()
        .map(|bucket| bucket.cumulative_count - std::mem::replace(&mut below, bucket.cumulative_count))
        .collect();
    bucket_counts.push(found.sample_count.saturating_sub(below));
    Some(HistogramDataPoint {
        attributes: attributes(&series.label),
        start_time_unix_nano: since_ns,
        time_unix_nano: now_ns,
        count: found.sample_count,
        sum: Some(found.sample_sum),
        bucket_counts,
        explicit_bounds: finite.iter().map(|bucket| bucket.upper_bound).collect(),
        exemplars: found.bucket.iter().filter_map(|bucket| example(bucket.exemplar.as_ref()?, now_ns)).collect(),
        ..HistogramDataPoint::default()
    })
}

fn example(found: &prometheus::Exemplar, now_ns: u64) -> Option<Exemplar> {
    let trace = TraceId::parse(&found.label.first()?.value)?;
    let at = found.timestamp.as_ref();
    let at_ns = at.map(|at| at.seconds as u64 * 1_000_000_000 + at.nanos as u64);
    Some(Exemplar {
        time_unix_nano: at_ns.unwrap_or(now_ns),
        trace_id: trace.0.to_be_bytes().to_vec(),
        value: Some(exemplar::Value::AsDouble(found.value)),
        ..Exemplar::default()
    })
}

fn attributes(labels: &[prometheus::LabelPair]) -> Vec<KeyValue> {
    labels.iter().map(|label| attribute(&label.name, &label.value)).collect()
}

fn attribute(name: &str, value: &str) -> KeyValue {
    let value = any_value::Value::StringValue(value.to_owned());
    KeyValue { key: name.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::metrics::{Metrics, names};
    use paceline_core::clock::SystemClock;

    #[test]
    fn each_kind_keeps_its_meaning() {
        let metrics = Metrics::new("worker", SystemClock::shared());
        metrics.counter(&names::STALLS, &[]).inc_by(3);
        let waited = metrics.histogram(&names::JOB_WAIT, &["default"]);
        waited.observe(0.002);
        waited.observe_as_example(0.004, TraceId(7), 5_000_000);
        waited.observe(7200.0);
        let mut told = Told::of(Identity { role: "worker", id: "w-1" });
        let request = told.request(&metrics.families(), 9_000_000);
        let resource = &request.resource_metrics[0];
        let of = |name: &str| {
            let found = resource.scope_metrics[0].metrics.iter().find(|metric| metric.name == name);
            found.unwrap_or_else(|| panic!("no {name}")).clone()
        };
        let id =
            resource.resource.as_ref().unwrap().attributes.iter().find(|a| a.key == "service.instance.id").unwrap();
        assert_eq!(*id, attribute("service.instance.id", "w-1"));
        let Some(metric::Data::Sum(stalls)) = of("paceline_stalls_total").data else { panic!("a counter is a sum") };
        assert!(stalls.is_monotonic && stalls.aggregation_temporality == 2);
        assert_eq!(stalls.data_points[0].value, Some(number_data_point::Value::AsDouble(3.0)));
        assert!(matches!(of("process_threads").data, Some(metric::Data::Gauge(_))));
        let wait = of("paceline_job_wait_seconds");
        assert_eq!(wait.unit, "s");
        let Some(metric::Data::Histogram(wait)) = wait.data else { panic!("a histogram is one") };
        let point = &wait.data_points[0];
        assert_eq!((point.count, point.bucket_counts.len()), (3, names::SECONDS.len() + 1));
        assert_eq!(point.explicit_bounds, names::SECONDS);
        assert_eq!((point.bucket_counts[1], point.bucket_counts[2], *point.bucket_counts.last().unwrap()), (1, 1, 1));
        let example = &point.exemplars[0];
        assert_eq!(
            (example.trace_id.as_slice(), example.time_unix_nano),
            (7_u128.to_be_bytes().as_slice(), 5_000_000_000)
        );
        assert_eq!(point.attributes, [attribute("role", "worker"), attribute("queue", "default")]);
    }
}

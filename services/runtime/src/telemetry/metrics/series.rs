//! The series of a metric: its labels, and the numbers that readers give for one look. Used by every other file of the folder.

use std::collections::BTreeMap;

use super::names::{Metric, MetricKind};

const ROLE_LABEL: &str = "role";

/// Names and values, `role` first.
pub type Labels = Vec<(&'static str, String)>;

/// The labels of a series, `values` in the order of the table.
pub fn labels(role: &str, metric: &'static Metric, values: &[&str]) -> Labels {
    debug_assert_eq!(metric.labels.len(), values.len(), "{}", metric.name);
    let own = metric.labels.iter().copied().zip(values.iter().map(|value| (*value).to_owned()));
    metric.has_role().then(|| (ROLE_LABEL, role.to_owned())).into_iter().chain(own).collect()
}

/// A number that was read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum MetricValue {
    Whole(u64),
    Real(f64),
}

impl MetricValue {
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

impl From<u64> for MetricValue {
    fn from(number: u64) -> Self {
        Self::Whole(number)
    }
}

impl From<usize> for MetricValue {
    fn from(number: usize) -> Self {
        Self::Whole(number as u64)
    }
}

impl From<bool> for MetricValue {
    fn from(is_so: bool) -> Self {
        Self::Whole(is_so.into())
    }
}

impl From<f64> for MetricValue {
    fn from(number: f64) -> Self {
        Self::Real(number)
    }
}

/// The numbers of all readers, for one look.
#[derive(Debug, Default)]
pub struct MetricReadings {
    /// The role whose reader is at work.
    pub(super) role: &'static str,
    all: BTreeMap<(&'static str, Labels), MetricValue>,
}

impl MetricReadings {
    /// Adds a number, whose labels are in the order of the table. Of two roles of the same name, as the workers of `paceline dev`, the sum is
    /// shown, or the lowest where the table says so. A number that is unknown is not added: it is absent, never 0.
    pub fn add(&mut self, metric: &'static Metric, values: &[&str], value: impl Into<MetricValue>) {
        let value = value.into();
        let fold = if metric.kind == MetricKind::LowestGauge { MetricValue::lower } else { MetricValue::plus };
        let series = (metric.name, labels(self.role, metric, values));
        self.all.entry(series).and_modify(|known| *known = fold(*known, value)).or_insert(value);
    }

    /// The series of one metric.
    pub(super) fn of(&self, metric: &Metric) -> Vec<(&Labels, MetricValue)> {
        let mine = self.all.iter().filter(|((name, _), _)| *name == metric.name);
        mine.map(|((_, labels), value)| (labels, *value)).collect()
    }
}

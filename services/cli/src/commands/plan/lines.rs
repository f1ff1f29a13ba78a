//! The lines of a plan: each says what it is, how it was reckoned, and the result. The reckonings write them here.

use serde::Serialize;

use super::number::number;

/// One result, in `unit`, with the arithmetic that gives it.
#[derive(Debug, Clone, Serialize)]
pub struct Line {
    pub what: &'static str,
    pub how: String,
    pub value: f64,
    pub unit: &'static str,
}

impl Line {
    pub fn shown(&self) -> String {
        format!("{} {}", number(self.value), self.unit)
    }
}

/// Lines in the order in which they are reckoned.
#[derive(Default)]
pub struct Lines(Vec<Line>);

impl Lines {
    /// Adds a line and answers its value, for the lines that follow from it.
    pub fn add(&mut self, what: &'static str, how: String, value: f64, unit: &'static str) -> f64 {
        self.0.push(Line { what, how, value, unit });
        value
    }

    /// Adds the sum of `parts`.
    pub fn sum<const PARTS: usize>(&mut self, what: &'static str, parts: [f64; PARTS], unit: &'static str) -> f64 {
        self.add(what, parts.map(number).join(" + "), parts.iter().sum(), unit)
    }

    pub fn into_vec(self) -> Vec<Line> {
        self.0
    }
}

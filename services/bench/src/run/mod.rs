//! A run of a benchmark: [`fill`] makes one whose jobs wait, [`flow`] sends one through every role, [`track`] follows either to its end,
//! and meanwhile [`probe`] asks the API and [`pace`] reads the rate.
//!
//! Here: what is done with one run while it is measured. It may use the stage, the roles and the numbers; it knows no mode and no report.

pub mod fill;
pub mod flow;
mod pace;
pub mod probe;
pub mod track;

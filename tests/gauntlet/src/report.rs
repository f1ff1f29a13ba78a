//! The report of a gauntlet: a table for people, an object for machines, and one sentence with the verdict.
//!
//! [`data`] is what was seen, [`rows`] what is reckoned from it, [`text`] and [`json`] how it is told.
//!
//! The folder may use the findings of faults, proof and recovery; it strikes nothing and asks nobody.

mod data;
mod json;
mod rows;
#[cfg(test)]
mod tests;
mod text;
mod words;

pub use data::Report;

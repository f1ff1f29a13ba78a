//! The language of the house: what a run, a job, an outcome and a pace are, and the ports that everything else plugs into.
//!
//! Nothing here does I/O or names a vendor. The way of a job through these modules:
//! [`pacing`] says how many jobs are due, [`ports::ranges`] reserves them as a [`job::Range`], [`job`] turns each seq into a
//! message, [`ports::broker`] carries it, [`outcome`] says how its handler ended, [`ports::sink`] stores the
//! [`document`], [`ports::counts`] counts it once.
//!
//! A module here is a concept that several crates share, with pure rules or a port. It may use its neighbours and general
//! crates; no other crate of Paceline, no network, no disk.

pub mod backoff;
pub mod clock;
pub mod connections;
pub mod document;
pub mod error;
pub mod groups;
pub mod ids;
pub mod job;
pub mod joined;
pub mod nodes;
pub mod outcome;
pub mod pacing;
pub mod policy;
pub mod ports;
pub mod repair;
pub mod retry;
pub mod run;
pub mod scaling;
pub mod seam;
pub mod seqset;
#[cfg(feature = "testkit")]
pub mod testkit;
pub mod trace;
pub mod verify;

pub use error::{Error, ErrorKind, Result};

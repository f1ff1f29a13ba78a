//! The outcome of a handler, as a value. One place in the worker acts on it: `worker/execute.rs`.

use std::time::Duration;

use serde_json::{Map, Value};

#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// Done; `output` is merged into the document's payload.
    Done { output: Map<String, Value> },
    /// Try again; `after` overrides the policy's backoff.
    Retry { reason: String, after: Option<Duration> },
    /// Trying again cannot help.
    Dead { reason: String },
}

impl Outcome {
    pub fn retry(reason: impl Into<String>) -> Self {
        Self::Retry { reason: reason.into(), after: None }
    }

    pub fn dead(reason: impl Into<String>) -> Self {
        Self::Dead { reason: reason.into() }
    }
}

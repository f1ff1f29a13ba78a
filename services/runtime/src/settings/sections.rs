//! The tables of the settings: `[sink]`, `[traces]` and `[metrics]`, each with its defaults and the value that it becomes.

use std::time::Duration;

use paceline_core::error::codes;
use paceline_core::ports::sink::Payloads;
use paceline_core::{Error, Result};
use serde::{Deserialize, Serialize};

use super::text;
use crate::telemetry::Identity;
use crate::telemetry::metrics::push::Push;
use crate::telemetry::otlp::OtlpProtocol;
use crate::telemetry::traces::Choice;

/// `[sink]`: the form in which documents are kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SinkSettings {
    /// `searchable` or `stored`; a text, so that a wrong one is named along with all other mistakes.
    #[serde(deserialize_with = "text::plain")]
    pub payload: String,
}

impl Default for SinkSettings {
    fn default() -> Self {
        Self { payload: Payloads::default().name().into() }
    }
}

impl SinkSettings {
    /// The form; the error names the field and the known forms.
    pub fn payloads(&self) -> Result<Payloads> {
        Payloads::parse(&self.payload).ok_or_else(|| {
            let known = Payloads::ALL.map(|payloads| format!("{:?}", payloads.name())).join(" or ");
            Error::invalid_field("sink.payload", format!("must be {known}, not {:?}", self.payload))
                .coded(codes::SETTINGS_INVALID)
        })
    }
}

/// `[traces]`: the share of jobs whose way is recorded, and the receiver.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TraceSettings {
    /// The receiver of OTLP: a collector, Tempo, Jaeger. Without it nothing is recorded, but by `paceline dev`, in its folder.
    #[serde(deserialize_with = "text::optional")]
    pub endpoint: Option<String>,
    pub protocol: OtlpProtocol,
    /// Traces that all runs together record from their beginning; every retried, dead or slow job is traced besides.
    pub per_second: f64,
    /// A job is slow if it takes longer than this from being due to its end.
    pub slow_ms: u64,
    /// The query API of Jaeger or Tempo, which `paceline trace` asks.
    #[serde(deserialize_with = "text::optional")]
    pub query_url: Option<String>,
}

impl Default for TraceSettings {
    fn default() -> Self {
        let Choice { per_second, slow } = Choice::default();
        let slow_ms = u64::try_from(slow.as_millis()).expect("some seconds");
        Self { endpoint: None, protocol: OtlpProtocol::default(), per_second, slow_ms, query_url: None }
    }
}

impl TraceSettings {
    /// The traces that are recorded.
    pub fn choice(&self) -> Choice {
        Choice { per_second: self.per_second, slow: Duration::from_millis(self.slow_ms) }
    }
}

/// `[metrics]`: the receiver to which metrics are pushed, besides being shown on the admin port.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MetricSettings {
    /// The receiver of OTLP. Without it nothing is pushed.
    #[serde(deserialize_with = "text::optional")]
    pub endpoint: Option<String>,
    pub protocol: OtlpProtocol,
    /// The seconds from one push to the next; 1 to 3,600.
    pub interval_seconds: u64,
}

impl Default for MetricSettings {
    fn default() -> Self {
        Self { endpoint: None, protocol: OtlpProtocol::default(), interval_seconds: 15 }
    }
}

impl MetricSettings {
    /// The receiver, if there is one, for the metrics of a process.
    pub fn push(&self, of: Identity<'_>) -> Result<Option<Push>> {
        let interval = Duration::from_secs(self.interval_seconds);
        self.endpoint.as_ref().map(|endpoint| Push::new(endpoint, self.protocol, interval, of)).transpose()
    }
}

//! Metrics as OTLP to a collector, every few seconds, beside a role: what `/metrics` shows, under the same names.
//!
//! A receiver that is away costs one line in the log, and one when it is back; the role does not wait for it.
//!
//! Here: sending, and in `convert` the translation. It may use the store's readings and the receiver's address; it counts nothing itself.

use std::convert::Infallible;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use opentelemetry_proto::tonic::collector::metrics::v1::{ExportMetricsPartialSuccess, ExportMetricsServiceRequest};
use paceline_core::error::codes;
use paceline_core::{Error, Result};
use prost::Message as _;
use reqwest::header::CONTENT_TYPE;
use tokio::time::MissedTickBehavior;
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};

use super::handle::Metrics;
use crate::telemetry::Identity;
use crate::telemetry::otlp::{OtlpProtocol, ReceiverAddress, TIMEOUT};
use convert::Told;

mod convert;

/// The path at which OTLP over HTTP takes metrics, if the endpoint names no path.
const HTTP_PATH: &str = "/v1/metrics";
/// The longest that a stop waits for the last numbers to be taken.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);

/// A receiver of metrics.
pub struct Push {
    way: Way,
    place: ReceiverAddress,
    told: Told,
    interval: Duration,
    is_away: bool,
}

enum Way {
    Grpc(MetricsServiceClient<Channel>),
    Http(reqwest::Client, String),
}

/// Runs `role`, and pushes its metrics until it has ended, and once more then.
pub async fn beside<T>(push: Option<Push>, metrics: &Metrics, role: impl Future<Output = T>) -> T {
    let Some(mut push) = push else { return role.await };
    let outcome = tokio::select! {
        biased;
        outcome = role => outcome,
        never = push.keep_sending(metrics) => match never {},
    };
    // Late is as lost: the process ends.
    _ = tokio::time::timeout(STOP_TIMEOUT, push.send(metrics)).await;
    outcome
}

impl Push {
    /// Connects when it is first used.
    pub fn new(endpoint: &str, protocol: OtlpProtocol, interval: Duration, of: Identity<'_>) -> Result<Self> {
        let place = ReceiverAddress::parse("metrics.endpoint", endpoint)?;
        let wrong = |why: String| place.refused(&why);
        let way = match protocol {
            OtlpProtocol::Grpc => {
                let to = Endpoint::from_shared(endpoint.to_owned()).map_err(|e| wrong(e.to_string()))?;
                let to = to.timeout(TIMEOUT).connect_timeout(TIMEOUT);
                let to = if endpoint.starts_with("https:") {
                    to.tls_config(ClientTlsConfig::new().with_enabled_roots()).map_err(|e| wrong(e.to_string()))?
                } else {
                    to
                };
                Way::Grpc(MetricsServiceClient::new(to.connect_lazy()))
            }
            OtlpProtocol::Http => {
                let client = reqwest::Client::builder().timeout(TIMEOUT).build().map_err(|e| wrong(e.to_string()))?;
                Way::Http(client, place.with_path(endpoint, HTTP_PATH))
            }
        };
        Ok(Self { way, place, told: Told::of(of), interval, is_away: false })
    }

    async fn keep_sending(&mut self, metrics: &Metrics) -> Infallible {
        let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + self.interval, self.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.send(metrics).await;
        }
    }

    /// Logs only that it begins to fail, and that it is well again.
    async fn send(&mut self, metrics: &Metrics) {
        let request = self.told.request(&metrics.families(), metrics.clock().wall_us());
        let sent = tokio::time::timeout(TIMEOUT, self.way.send(request)).await;
        let sent = sent.unwrap_or_else(|_| Err(format!("no answer within {TIMEOUT:?}")));
        match sent {
            Ok(()) if std::mem::take(&mut self.is_away) => {
                tracing::info!(receiver = %self.place, "metrics are taken again")
            }
            Err(why) if !std::mem::replace(&mut self.is_away, true) => {
                tracing::warn!(receiver = %self.place, why, "metrics are not taken; they are pushed on until they are, and the role goes on");
            }
            _ => (),
        }
    }
}

impl Way {
    async fn send(&mut self, request: ExportMetricsServiceRequest) -> Result<(), String> {
        match self {
            Self::Grpc(client) => match client.export(request).await {
                Ok(answer) => match answer.into_inner().partial_success {
                    Some(partial) if partial.rejected_data_points > 0 => {
                        let ExportMetricsPartialSuccess { rejected_data_points, error_message } = partial;
                        Err(format!("it refused {rejected_data_points} numbers: {error_message}"))
                    }
                    _ => Ok(()),
                },
                Err(status) => Err(format!("{}: {}", status.code(), status.message())),
            },
            Self::Http(client, url) => {
                let body = request.encode_to_vec();
                let sending =
                    client.post(url.as_str()).header(CONTENT_TYPE, "application/x-protobuf").body(body).send();
                // Without the address, which may hold a password.
                let answer = sending.await.map_err(|e| chain(&e.without_url()))?;
                if answer.status().is_success() { Ok(()) } else { Err(format!("it answers {}", answer.status())) }
            }
        }
    }
}

/// An error and its causes: reqwest's own words say only that a request failed.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source()).map(|cause| format!(": {cause}"));
    causes.fold(error.to_string(), |text, cause| text + &cause)
}

impl ReceiverAddress {
    fn refused(&self, why: &str) -> Error {
        Error::invalid_field("metrics.endpoint", format!("is no address for metrics: {why}"))
            .coded(codes::ADDRESS_INVALID)
    }
}

//! The producers that a scheduler knows: round robin over the healthy ones, and the next one when one fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures::future::join_all;
use paceline_core::ids::RunId;
use paceline_core::job::Range;
use paceline_core::ports::RangePublisher;
use paceline_core::ports::broker::Depth;
use paceline_core::{Error, Result};
use paceline_proto::v1::producer_service_client::ProducerServiceClient;
use paceline_proto::v1::{DepthRequest, PublishRequest};
use paceline_runtime::auth::AddToken;
use paceline_runtime::grpc;
use paceline_runtime::lifecycle::Shutdown;
use paceline_runtime::status::from_status;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

/// How long a producer may take for a range: longer than the broker's own limit, so that its words arrive.
const PUBLISH_TIMEOUT: Duration = Duration::from_secs(15);
const PROBE_INTERVAL: Duration = Duration::from_secs(1);
const PROBE_TIMEOUT: Duration = Duration::from_millis(800);
/// The health service's name of what is probed.
const SERVICE: &str = "paceline.v1.ProducerService";

pub struct Producers {
    members: Vec<Member>,
    next: AtomicUsize,
}

struct Member {
    address: String,
    publisher: Arc<dyn RangePublisher>,
    /// `None` for a producer in this process.
    health: Option<HealthClient<Channel>>,
    is_healthy: AtomicBool,
}

impl Producers {
    /// One producer in this process.
    pub fn local(publisher: Arc<dyn RangePublisher>) -> Self {
        Self::in_process(vec![("this process".into(), publisher)])
    }

    /// Several, each with the name that logs call it by.
    pub fn in_process(publishers: Vec<(String, Arc<dyn RangePublisher>)>) -> Self {
        let member =
            |(address, publisher)| Member { address, publisher, health: None, is_healthy: AtomicBool::new(true) };
        Self { members: publishers.into_iter().map(member).collect(), next: AtomicUsize::new(0) }
    }

    /// Producers at `http://host:port`. They are connected to when first used.
    pub fn remote(addresses: &[String], token: Option<&str>) -> Result<Self> {
        if addresses.is_empty() {
            return Err(Error::invalid_field(
                "producers",
                "at least one address is needed, e.g. http://127.0.0.1:50052",
            ));
        }
        let members = addresses.iter().map(|address| Member::remote(address, token)).collect::<Result<_>>()?;
        Ok(Self { members, next: AtomicUsize::new(0) })
    }

    /// Publishes at the next healthy producer; at each of the others, healthy or not, when that fails. The last error, when all do.
    pub async fn publish(&self, run: &RunId, range: &Range) -> Result<String> {
        self.first(|publisher| async move { publisher.publish(run, range).await }).await
    }

    /// What the broker says about the run's queue, asked through a producer.
    pub async fn depth(&self, run: &RunId) -> Result<Depth> {
        self.first(|publisher| async move { publisher.depth(run).await }).await
    }

    /// The answer of the first producer that gives one, the healthy ones first.
    async fn first<T, F>(&self, ask: impl Fn(Arc<dyn RangePublisher>) -> F) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let start = self.next.fetch_add(1, Ordering::Relaxed);
        let in_turn = (0..self.members.len()).map(|step| &self.members[(start + step) % self.members.len()]);
        let (healthy, others): (Vec<_>, Vec<_>) = in_turn.partition(|member| member.is_healthy());
        let mut last = Error::unavailable("no producer");
        for member in healthy.into_iter().chain(others) {
            match ask(member.publisher.clone()).await {
                Ok(answer) => {
                    member.mark(true, "it answers");
                    return Ok(answer);
                }
                // Another producer would say the same: it is the request, not the producer.
                Err(error) if !error.is_retryable() => return Err(error),
                Err(error) => {
                    member.mark(false, &error.message);
                    last = error;
                }
            }
        }
        Err(last)
    }

    /// Asks every remote producer for its health, once a second, until `shutdown`.
    pub async fn probe(&self, shutdown: Shutdown) {
        if self.members.iter().all(|member| member.health.is_none()) {
            return;
        }
        let mut interval = tokio::time::interval(PROBE_INTERVAL);
        while shutdown.or(interval.tick()).await.is_some() {
            shutdown.or(join_all(self.members.iter().map(Member::probe))).await;
        }
    }
}

impl Member {
    fn remote(address: &str, token: Option<&str>) -> Result<Self> {
        let channel = grpc::channel(address, Some(PUBLISH_TIMEOUT))?;
        let client = ProducerServiceClient::with_interceptor(channel.clone(), AddToken::new(token)?);
        Ok(Self {
            address: address.to_owned(),
            publisher: Arc::new(Remote(client)),
            health: Some(HealthClient::new(channel)),
            is_healthy: AtomicBool::new(true),
        })
    }

    fn is_healthy(&self) -> bool {
        self.is_healthy.load(Ordering::Relaxed)
    }

    fn mark(&self, is_healthy: bool, why: &str) {
        if self.is_healthy.swap(is_healthy, Ordering::Relaxed) != is_healthy {
            match is_healthy {
                true => tracing::info!(producer = self.address, why, "producer is healthy again"),
                false => tracing::warn!(producer = self.address, why, "producer is left out"),
            }
        }
    }

    async fn probe(&self) {
        let Some(mut client) = self.health.clone() else { return };
        let check = client.check(HealthCheckRequest { service: SERVICE.into() });
        match tokio::time::timeout(PROBE_TIMEOUT, check).await {
            Err(_) => self.mark(false, "no answer to a health check"),
            Ok(Err(status)) => self.mark(false, status.message()),
            Ok(Ok(answer)) => {
                let is_serving = answer.into_inner().status() == ServingStatus::Serving;
                self.mark(is_serving, if is_serving { "serving" } else { "it says that it is not serving" });
            }
        }
    }
}

struct Remote(ProducerServiceClient<InterceptedService<Channel, AddToken>>);

#[async_trait]
impl RangePublisher for Remote {
    async fn publish(&self, run: &RunId, range: &Range) -> Result<String> {
        let request = PublishRequest {
            run_id: run.to_string(),
            first: range.first,
            count: u32::try_from(range.count).map_err(|_| Error::invalid_field("count", "is too large"))?,
            scheduled_at_ms: range.scheduled_at_ms,
        };
        let answer = self.0.clone().publish(request).await.map_err(|status| from_status(&status))?.into_inner();
        if u64::from(answer.confirmed) != range.count {
            return Err(Error::unavailable(format!("{} of {} jobs were confirmed", answer.confirmed, range.count)));
        }
        Ok(answer.producer_id)
    }

    async fn depth(&self, run: &RunId) -> Result<Depth> {
        let request = DepthRequest { run_id: run.to_string() };
        let depth = self.0.clone().depth(request).await.map_err(|status| from_status(&status))?.into_inner();
        Ok(Depth { ready: depth.ready, unacked: depth.unacked, delayed: depth.delayed, dead: depth.dead })
    }
}

//! A producer at an address: its ranges and its health over gRPC.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use paceline_core::error::codes;
use paceline_core::ids::RunId;
use paceline_core::job::Range;
use paceline_core::ports::RangePublisher;
use paceline_core::ports::broker::Depth;
use paceline_core::trace::Sampling;
use paceline_core::{Error, Result};
use paceline_proto::Protocol;
use paceline_proto::v1::producer_service_client::ProducerServiceClient;
use paceline_proto::v1::{DepthRequest, PublishRequest};
use paceline_runtime::auth::AddToken;
use paceline_runtime::grpc;
use paceline_runtime::protocol::SayProtocol;
use paceline_runtime::status::from_status;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::address::ProducerAddress;

/// The longest time that a producer may take for a range: longer than the broker's own limit, so that the broker's words arrive.
const PUBLISH_TIMEOUT: Duration = Duration::from_secs(15);
/// The longest time that a health check may take.
const HEALTH_TIMEOUT: Duration = Duration::from_millis(800);
/// The health service's name of what is probed.
const SERVICE: &str = "paceline.v1.ProducerService";

/// Connects when it is first used, and again whenever the connection was lost.
pub struct RemoteProducer(ProducerServiceClient<InterceptedService<Channel, SayProtocol>>);

/// A scheduler's word about itself to its producers.
#[derive(Debug, Clone)]
pub struct Caller(SayProtocol);

/// Asks a producer for its health.
#[async_trait]
pub trait HealthCheck: Send + Sync {
    /// `Err` says why no range should go there: `Unavailable`, the producer is away or does not answer in time; `FailedPrecondition`, the
    /// producer answers that it is not serving, so it will answer for the ranges that it has, too.
    async fn check(&self) -> Result<()>;
}

/// The two ends of a producer at an address.
pub struct Ends {
    pub publisher: Arc<dyn RangePublisher>,
    pub health: Arc<dyn HealthCheck>,
}

/// Asks a producer's standard gRPC health service.
pub struct RemoteHealthCheck(HealthClient<Channel>);

impl Caller {
    pub fn new(protocol: Protocol, token: Option<&str>) -> Result<Self> {
        Ok(Self(SayProtocol::new(protocol, AddToken::new(token)?)))
    }

    /// The two ends of the producer at `address`.
    pub fn connect(&self, address: &ProducerAddress) -> Result<Ends> {
        let channel = grpc::channel_as(&address.address, address.origin.as_deref(), Some(PUBLISH_TIMEOUT))?;
        let client = ProducerServiceClient::with_interceptor(channel.clone(), self.0.clone());
        Ok(Ends {
            publisher: Arc::new(RemoteProducer(client)),
            health: Arc::new(RemoteHealthCheck(HealthClient::new(channel))),
        })
    }
}

#[async_trait]
impl HealthCheck for RemoteHealthCheck {
    async fn check(&self) -> Result<()> {
        let mut client = self.0.clone();
        let check = client.check(HealthCheckRequest { service: SERVICE.into() });
        let answer = tokio::time::timeout(HEALTH_TIMEOUT, check).await.map_err(|_| {
            Error::unavailable(format!("no answer to a health check within {} ms", HEALTH_TIMEOUT.as_millis()))
                .coded(codes::PRODUCER_SILENT)
        })?;
        match answer.map_err(|status| from_status(&status))?.into_inner().status() {
            ServingStatus::Serving => Ok(()),
            _ => Err(Error::failed_precondition("it says that it is not serving; its /readyz says why")
                .coded(codes::PRODUCER_NOT_SERVING)),
        }
    }
}

impl RemoteProducer {
    async fn ask_depth(&self, request: DepthRequest) -> Result<Depth> {
        let depth = self.0.clone().depth(request).await.map_err(|status| from_status(&status))?.into_inner();
        Ok(Depth { ready: depth.ready, unacked: depth.unacked, delayed: depth.delayed, dead: depth.dead })
    }
}

#[async_trait]
impl RangePublisher for RemoteProducer {
    async fn publish(&self, run: &RunId, range: &Range, sampling: Sampling) -> Result<String> {
        let request = PublishRequest {
            run_id: run.to_string(),
            first: range.first,
            count: u32::try_from(range.count)
                .map_err(|_| Error::invalid_field("count", "is too large").coded(codes::RANGE_INVALID))?,
            scheduled_at_ms: range.scheduled_at_ms,
            sampled_of_2_56: sampling.taken(),
        };
        let answer = self.0.clone().publish(request).await.map_err(|status| from_status(&status))?.into_inner();
        if u64::from(answer.confirmed) != range.count {
            return Err(Error::unavailable(format!("{} of {} jobs were confirmed", answer.confirmed, range.count))
                .coded(codes::RANGE_PARTLY_CONFIRMED));
        }
        Ok(answer.producer_id)
    }

    async fn depth(&self, run: &RunId) -> Result<Depth> {
        self.ask_depth(DepthRequest { run_id: run.to_string(), ..DepthRequest::default() }).await
    }

    async fn depth_of(&self, queue: &str, group: &str) -> Result<Depth> {
        let request = DepthRequest { queue: queue.into(), group: group.into(), ..DepthRequest::default() };
        self.ask_depth(request).await
    }
}

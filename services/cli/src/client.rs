//! The door to the scheduler: its gRPC client with the token, and its failures as our errors with a remedy.

use std::error::Error as _;
use std::time::Duration;

use paceline_core::error::codes;
use paceline_core::{Error, Result};
use paceline_proto::v1;
use paceline_proto::v1::scheduler_service_client::SchedulerServiceClient;
use paceline_runtime::grpc::{Authorized, authorized};
use paceline_runtime::settings::Settings;
use paceline_runtime::status;
use tonic::{Code, Request, Response, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

/// The longest call of those that are answered at once.
const CALL_TIMEOUT: Duration = Duration::from_secs(15);
/// The longest look for a scheduler that may well not be there.
const PROBE_TIMEOUT: Duration = Duration::from_secs(3);
/// The name for the newest run.
pub const LAST: &str = "last";

/// A connection to the scheduler; cheap to clone.
#[derive(Debug, Clone)]
pub struct SchedulerClient {
    /// For calls that are answered at once.
    pub calls: SchedulerServiceClient<Authorized>,
    /// For answers that take as long as they take.
    pub patient: Authorized,
    pub address: String,
}

impl SchedulerClient {
    /// A connection that is made when it is first used. The error names a wrong address or token.
    pub fn new(settings: &Settings) -> Result<Self> {
        let address = settings.server.clone();
        let channel = |timeout| authorized(&address, settings.token.as_deref(), timeout);
        let calls = SchedulerServiceClient::new(channel(Some(CALL_TIMEOUT))?);
        Ok(Self { calls, patient: channel(None)?, address })
    }

    /// The answer of a call, or our error.
    pub fn answer<T>(&self, result: Result<Response<T>, Status>) -> Result<T> {
        result.map(Response::into_inner).map_err(|status| self.failure(&status))
    }

    /// A status as our error. Silence and a refusal are told apart, because their remedies differ.
    pub fn failure(&self, status: &Status) -> Error {
        match status.code() {
            Code::Unavailable if is_ours(status) => unreachable(&self.address),
            Code::Cancelled | Code::DeadlineExceeded if is_ours(status) => {
                let seconds = CALL_TIMEOUT.as_secs();
                Error::unavailable(format!("the scheduler at {} does not answer within {seconds} s", self.address))
                    .coded(codes::SCHEDULER_TIMEOUT)
            }
            _ => status::from_status(status),
        }
    }

    /// True if anybody answers at the address.
    pub async fn answers(&self) -> bool {
        let mut health = HealthClient::new(self.patient.clone());
        let request = Request::new(HealthCheckRequest { service: String::new() });
        match tokio::time::timeout(PROBE_TIMEOUT, health.check(request)).await {
            Ok(Ok(_)) => true,
            Ok(Err(status)) => !is_ours(&status),
            Err(_) => false,
        }
    }

    /// The id of a run; `last` is the newest run. NOT_FOUND if there is none yet.
    pub async fn resolve(&self, run: &str) -> Result<String> {
        if run != LAST {
            return Ok(run.to_owned());
        }
        let request = v1::ListRunsRequest { page_size: 1, page_token: String::new() };
        let page = self.answer(self.calls.clone().list_runs(request).await)?;
        page.runs.into_iter().next().map(|run| run.run_id).ok_or_else(no_runs)
    }
}

/// The answer for `last` where nothing ran yet.
pub fn no_runs() -> Error {
    Error::not_found("there are no runs yet; start one with `paceline run start`").coded(codes::NO_RUNS_YET)
}

/// True if the status was made on our side of the wire, because nobody answered; a status that was sent has no source here.
fn is_ours(status: &Status) -> bool {
    status.source().is_some()
}

fn unreachable(address: &str) -> Error {
    Error::unavailable(format!(
        "no scheduler answers at {address}: start one with `paceline dev` or `paceline scheduler`, \
         or name another with --server / PACELINE_SERVER"
    ))
    .coded(codes::SCHEDULER_UNREACHABLE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use paceline_core::ErrorKind;

    #[tokio::test]
    async fn nobody_at_the_address_is_said_with_a_remedy() {
        // A port that was free a moment ago.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        drop(listener);
        let scheduler = SchedulerClient::new(&Settings { server: address.clone(), ..Settings::default() }).unwrap();
        assert!(!scheduler.answers().await);
        let error = scheduler.resolve(LAST).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unavailable);
        assert!(
            error.message.starts_with(&format!("no scheduler answers at {address}: start one with `paceline dev`"))
        );
    }

    #[tokio::test]
    async fn a_refusal_of_the_scheduler_keeps_its_words() {
        let scheduler = SchedulerClient::new(&Settings::default()).unwrap();
        let error = scheduler.failure(&Status::unavailable("redis is away"));
        assert_eq!((error.kind, error.message.as_str()), (ErrorKind::Unavailable, "redis is away"));
        assert_eq!(scheduler.resolve("some-run").await.unwrap(), "some-run");
    }
}

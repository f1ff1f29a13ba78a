//! The roles under measurement: a process each ([`process`], whose log [`logs`] passes on), or all in this one ([`inside`]). They end with
//! this value.
//!
//! It may use the stage, the setup of the load and the usage of processes.

mod inside;
mod logs;
mod process;

use paceline_core::error::codes;
use std::process::Stdio;
use std::time::Duration;

use paceline_core::{Error, Result};
use paceline_proto::v1::producer_service_server::ProducerServiceServer;
use paceline_proto::v1::scheduler_service_client::SchedulerServiceClient;
use paceline_proto::v1::scheduler_service_server::SchedulerServiceServer;
use paceline_runtime::grpc::{Authorized, authorized};
use paceline_runtime::telemetry::warnings::Heard;
use tonic::Response;
use tonic::server::NamedService;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use crate::load::LoadSetup;
use crate::numbers::usage::Usage;
use crate::stage::{Stage, took_too_long};
use inside::Inside;
use process::{RoleProcess, terminate};

const PRODUCER_SERVICE: &str = <ProducerServiceServer<()> as NamedService>::NAME;
const SCHEDULER_SERVICE: &str = <SchedulerServiceServer<()> as NamedService>::NAME;

/// The longest that a role may take until it answers.
const START_TIMEOUT: Duration = Duration::from_secs(30);
const START_POLL: Duration = Duration::from_millis(20);
/// The longest that a role may take to say that it serves.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(3);
/// The longest call of the API.
const CALL_TIMEOUT: Duration = Duration::from_secs(15);
const ANY_PORT: &str = "127.0.0.1:0";

pub const SCHEDULER: &str = "scheduler";
pub const PRODUCER: &str = "producer";
pub const WORKER: &str = "worker";
/// Every role at once, where they share this process.
pub const PROCESS: &str = "process";

/// The calls of the scheduler under measurement.
pub type SchedulerCalls = SchedulerServiceClient<Authorized>;

pub struct Roles<'a> {
    stage: &'a Stage,
    outside: Vec<RoleProcess>,
    inside: Inside,
}

impl<'a> Roles<'a> {
    pub fn new(stage: &'a Stage) -> Self {
        Self { stage, outside: Vec::new(), inside: Inside::default() }
    }

    /// Starts a producer and a scheduler and waits until both answer.
    pub async fn serve(&mut self) -> anyhow::Result<SchedulerCalls> {
        let address = if self.stage.is_embedded() {
            self.inside.serve(self.stage).await?
        } else {
            let producer = self.start_server(PRODUCER, &[]).await?;
            // A scheduler leaves a producer out, and says so, until it serves.
            self.wait_for(&producer, PRODUCER_SERVICE).await?;
            self.start_server(SCHEDULER, &["--producers", &producer]).await?
        };
        self.wait_for(&address, SCHEDULER_SERVICE).await?;
        Ok(SchedulerServiceClient::new(self.channel(&address, CALL_TIMEOUT)?))
    }

    /// Starts the workers; they consume as soon as they can.
    pub fn work(&mut self, load: &LoadSetup) -> anyhow::Result<()> {
        for number in 1..=load.workers {
            let id = LoadSetup::worker_id(number);
            if self.stage.is_embedded() {
                self.inside.work(self.stage, &id, load);
                continue;
            }
            self.outside.push(self.spawn_worker(&id, load)?);
        }
        Ok(())
    }

    fn spawn_worker(&self, id: &str, load: &LoadSetup) -> anyhow::Result<RoleProcess> {
        let (consumers, prefetch, batch) =
            (load.consumers.to_string(), load.prefetch.to_string(), load.batch.to_string());
        let arguments = ["--id", id, "--consumers", &consumers, "--prefetch", &prefetch, "--batch", &batch];
        RoleProcess::spawn(self.stage, WORKER, id, &arguments, Stdio::null())
    }

    /// Waits until every worker has announced itself.
    pub async fn wait_for_workers(&mut self, load: &LoadSetup) -> Result<()> {
        let waiting = async {
            while self.stage.ports.ledger.workers.alive().await?.len() < load.workers as usize {
                self.check()?;
                tokio::time::sleep(START_POLL).await;
            }
            Ok(())
        };
        in_time("the workers did not announce themselves", waiting).await
    }

    /// A role that has ended has failed.
    pub fn check(&mut self) -> Result<()> {
        for role in &mut self.outside {
            if let Some(status) = role.ended() {
                return Err(Error::internal(format!(
                    "{} ended with {status} while it was measured; its log above says why",
                    role.name
                ))
                .coded(codes::BENCH_BROKE));
            }
        }
        self.inside.check()
    }

    /// The CPU time and the memory of the roles up to now.
    pub fn usage(&self) -> Result<Usage> {
        if self.stage.is_embedded() {
            return Usage::read([(PROCESS, std::process::id())]);
        }
        Usage::read(self.outside.iter().map(|role| (role.kind, role.id())))
    }

    /// Answers the warnings until then: a role in this process may also warn of what it leaves when it is stopped.
    pub async fn stop(mut self) -> Heard {
        // In this order, because a scheduler would miss its producer, and say so.
        for kind in [WORKER, SCHEDULER, PRODUCER] {
            let (ended, others) = self.outside.into_iter().partition(|role| role.kind == kind);
            self.outside = others;
            terminate(ended).await;
        }
        let heard = self.stage.warnings.heard();
        self.inside.stop().await;
        heard
    }

    async fn start_server(&mut self, kind: &'static str, arguments: &[&str]) -> anyhow::Result<String> {
        let name = format!("bench-{kind}");
        let arguments = [&["--json", "--listen", ANY_PORT, "--id", &name], arguments].concat();
        // From here on it is killed when something goes wrong.
        self.outside.push(RoleProcess::spawn(self.stage, kind, &name, &arguments, Stdio::piped())?);
        self.outside.last_mut().expect("just added").address().await
    }

    fn channel(&self, address: &str, call_timeout: Duration) -> Result<Authorized> {
        authorized(address, self.stage.settings.token.as_deref(), Some(call_timeout))
    }

    /// Waits until the service at `address` says that it serves.
    async fn wait_for(&mut self, address: &str, service: &str) -> Result<()> {
        let mut health = HealthClient::new(self.channel(address, HEALTH_TIMEOUT)?);
        let waiting = async {
            let request = || HealthCheckRequest { service: service.to_owned() };
            let is_serving =
                |answer: Response<HealthCheckResponse>| answer.get_ref().status() == ServingStatus::Serving;
            while !health.check(request()).await.is_ok_and(is_serving) {
                self.check()?;
                tokio::time::sleep(START_POLL).await;
            }
            Ok(())
        };
        in_time(&format!("{service} at {address} did not serve"), waiting).await
    }
}

async fn in_time(what: &str, waiting: impl Future<Output = Result<()>>) -> Result<()> {
    let waited = tokio::time::timeout(START_TIMEOUT, waiting).await;
    waited.unwrap_or_else(|_| Err(took_too_long(what, START_TIMEOUT.as_secs())))
}

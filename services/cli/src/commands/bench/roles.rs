//! The roles under measurement: a process each, or all in this one. They end with this value.

use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context as _;
use paceline_core::error::codes;
use paceline_core::{Error, Result};
use paceline_proto::v1::producer_service_server::ProducerServiceServer;
use paceline_proto::v1::scheduler_service_server::SchedulerServiceServer;
use paceline_runtime::settings::Settings;
use paceline_runtime::telemetry::LogFormat;
use paceline_runtime::telemetry::warnings::Heard;
use serde::Deserialize;
use tonic::Response;
use tonic::server::NamedService;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use super::inside::Inside;
use super::load::Config;
use super::logs;
use super::stage::{Stage, took_too_long};
use super::usage::Usage;
use crate::client::{self, Scheduler};

const PRODUCER_SERVICE: &str = <ProducerServiceServer<()> as NamedService>::NAME;
const SCHEDULER_SERVICE: &str = <SchedulerServiceServer<()> as NamedService>::NAME;

/// How long a role may take until it answers.
const START_TIMEOUT: Duration = Duration::from_secs(30);
const START_POLL: Duration = Duration::from_millis(20);
/// How long roles may take to stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);
const CALL_TIMEOUT: Duration = Duration::from_secs(3);
const ANY_PORT: &str = "127.0.0.1:0";

pub const SCHEDULER: &str = "scheduler";
pub const PRODUCER: &str = "producer";
pub const WORKER: &str = "worker";
/// Every role at once, where they share this process.
pub const PROCESS: &str = "process";

pub struct Roles<'a> {
    stage: &'a Stage,
    outside: Vec<Role>,
    inside: Inside,
}

/// A role in a process of its own, which is killed with this value. It stops by itself when its stdin ends, and so when this
/// process has ended without killing it; until then the pipe is kept in `process`.
struct Role {
    kind: &'static str,
    name: String,
    process: Child,
    /// Ends with the process.
    log: Option<JoinHandle<()>>,
    /// Kept open: a role that prints into a closed pipe would fail.
    _stdout: Option<BufReader<ChildStdout>>,
}

/// The first line that a role with a server prints.
#[derive(Deserialize)]
struct Announced {
    address: String,
}

impl<'a> Roles<'a> {
    pub fn new(stage: &'a Stage) -> Self {
        Self { stage, outside: Vec::new(), inside: Inside::default() }
    }

    /// Starts a producer and a scheduler and waits until both answer.
    pub async fn serve(&mut self) -> anyhow::Result<Scheduler> {
        let address = if self.stage.is_embedded() {
            self.inside.serve(self.stage).await?
        } else {
            let producer = self.start_server(PRODUCER, &[]).await?;
            // A scheduler leaves a producer out, and says so, until it serves.
            self.wait_for(&producer, PRODUCER_SERVICE).await?;
            self.start_server(SCHEDULER, &["--producers", &producer]).await?
        };
        self.wait_for(&address, SCHEDULER_SERVICE).await?;
        Ok(Scheduler::new(&Settings { server: address, ..self.stage.settings.clone() })?)
    }

    /// Starts the workers; they consume as soon as they can.
    pub fn work(&mut self, config: &Config) -> anyhow::Result<()> {
        for number in 1..=config.workers {
            let id = Config::worker_id(number);
            if self.stage.is_embedded() {
                self.inside.work(self.stage, &id, config);
                continue;
            }
            let (consumers, prefetch, batch) =
                (config.consumers.to_string(), config.prefetch.to_string(), config.batch.to_string());
            let arguments = ["--id", &id, "--consumers", &consumers, "--prefetch", &prefetch, "--batch", &batch];
            self.outside.push(Role::spawn(self.stage, WORKER, &id, &arguments, Stdio::null())?);
        }
        Ok(())
    }

    /// Waits until every worker has announced itself.
    pub async fn wait_for_workers(&mut self, config: &Config) -> Result<()> {
        let waiting = async {
            while self.stage.ports.ledger.workers.alive().await?.len() < config.workers as usize {
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
            if let Ok(Some(status)) = role.process.try_wait() {
                return Err(Error::internal(format!(
                    "{} ended with {status} while it was measured; its log above says why",
                    role.name
                ))
                .coded(codes::BENCH_BROKE));
            }
        }
        self.inside.check()
    }

    /// What the roles have used up to now.
    pub fn usage(&self) -> Result<Usage> {
        if self.stage.is_embedded() {
            return Usage::read([(PROCESS, std::process::id())]);
        }
        Usage::read(self.outside.iter().map(|role| (role.kind, role.process.id())))
    }

    /// Answers what was warned of until then: a role in this process may also warn of what it leaves when it is stopped.
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
        let mut role = Role::spawn(self.stage, kind, &name, &arguments, Stdio::piped())?;
        let stdout = role.process.stdout.take().map(BufReader::new).expect("it is piped");
        // From here on it is killed when something goes wrong, which also ends the reading.
        self.outside.push(role);
        let reading = tokio::task::spawn_blocking(move || first_line(stdout));
        let read = tokio::time::timeout(START_TIMEOUT, reading).await;
        let (line, stdout) =
            read.map_err(|_| took_too_long(&format!("the {kind} said no address"), START_TIMEOUT.as_secs()))???;
        self.outside.last_mut().expect("just added")._stdout = Some(stdout);
        let announced: Announced = serde_json::from_str(&line)
            .with_context(|| format!("the {kind} ended before it said its address; its log is above"))?;
        Ok(announced.address)
    }

    /// Waits until the service at `address` says that it serves.
    async fn wait_for(&mut self, address: &str, service: &str) -> Result<()> {
        let mut health = HealthClient::new(client::authorized(address, &self.stage.settings, Some(CALL_TIMEOUT))?);
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

/// Lets roles finish what they are at, such as the declaration of a queue; whoever takes too long is killed.
async fn terminate(mut roles: Vec<Role>) {
    let pids: Vec<String> = roles.iter().map(|role| role.process.id().to_string()).collect();
    if !pids.is_empty() {
        // The shell's own `kill`, because the program is not on every machine; without a shell all that is left is SIGKILL. One
        // that has ended already is none of its business.
        let kill = ["-c", r#"kill -s "$@""#, "kill", "TERM"];
        _ = Command::new("sh").args(kill).args(pids).stderr(Stdio::null()).status();
    }
    let all_ended = async {
        while roles.iter_mut().any(|role| matches!(role.process.try_wait(), Ok(None))) {
            tokio::time::sleep(START_POLL).await;
        }
    };
    _ = tokio::time::timeout(STOP_TIMEOUT, all_ended).await;
    // What still runs is killed with its value.
    drop(roles);
}

async fn in_time(what: &str, waiting: impl Future<Output = Result<()>>) -> Result<()> {
    let waited = tokio::time::timeout(START_TIMEOUT, waiting).await;
    waited.unwrap_or_else(|_| Err(took_too_long(what, START_TIMEOUT.as_secs())))
}

fn first_line(mut stdout: BufReader<ChildStdout>) -> std::io::Result<(String, BufReader<ChildStdout>)> {
    let mut line = String::new();
    stdout.read_line(&mut line)?;
    Ok((line, stdout))
}

impl Role {
    /// This executable as another role, with our settings and no file: it starts in a folder in which nobody can put one.
    fn spawn(stage: &Stage, kind: &'static str, name: &str, arguments: &[&str], stdout: Stdio) -> anyhow::Result<Self> {
        let executable = std::env::current_exe().context("cannot find this executable")?;
        let mut command = Command::new(executable);
        command.arg(kind).args(["--admin", "off", "--stop-with-stdin"]).args(arguments);
        command.env_remove("PACELINE_CONFIG").current_dir("/proc");
        pass_on(&stage.settings, &mut command);
        // A Ctrl-C is for the benchmark, which stops its roles in order.
        command.process_group(0);
        let spawned = command.stdin(Stdio::piped()).stdout(stdout).stderr(Stdio::piped()).spawn();
        let mut process = spawned.with_context(|| format!("cannot start a {kind}"))?;
        let log = process.stderr.take().expect("stderr is piped");
        let log = logs::relay(log, name, stage.settings.log_format.here(), stage.warnings.clone());
        Ok(Self { kind, name: name.to_owned(), process, log: Some(log), _stdout: None })
    }
}

fn pass_on(settings: &Settings, command: &mut Command) {
    // The role's own stderr is a pipe to us.
    let format = match settings.log_format.here() {
        LogFormat::Text | LogFormat::Auto => "text",
        LogFormat::Json => "json",
    };
    let is_chosen = settings.log != Settings::default().log;
    let high_water = settings.high_water.to_string();
    command.envs([
        ("PACELINE_BROKER_URL", settings.broker_url.as_str()),
        ("PACELINE_SINK_URL", &settings.sink_url),
        ("PACELINE_LEDGER_URL", &settings.ledger_url),
        ("PACELINE_NAMESPACE", &settings.namespace),
        ("PACELINE_GROUP", &settings.group),
        ("PACELINE_HIGH_WATER", &high_water),
        ("PACELINE_SINK_PAYLOAD", &settings.sink.payload),
        ("PACELINE_LOG", if is_chosen { &settings.log } else { "warn" }),
        ("PACELINE_LOG_FORMAT", format),
    ]);
    if let Some(token) = &settings.token {
        command.env("PACELINE_TOKEN", token);
    }
    if let Some(file) = &settings.ca_file {
        command.env("PACELINE_CA_FILE", file);
    }
}

impl Drop for Role {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to do.
        _ = self.process.kill();
        _ = self.process.wait();
        _ = self.log.take().map(JoinHandle::join);
    }
}

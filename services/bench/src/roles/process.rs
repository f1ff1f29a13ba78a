//! A role in a process of its own: its start as this executable, its first line, its log and its end.

use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context as _;
use paceline_runtime::settings::Settings;
use paceline_runtime::telemetry::LogFormat;
use serde::Deserialize;

use super::logs;
use crate::stage::{Stage, took_too_long};

/// The longest that a role may take until it says its address.
const ADDRESS_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest that roles may take to stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);
const STOP_POLL: Duration = Duration::from_millis(20);

/// A role in a process of its own, which is killed with this value. It stops by itself when its stdin ends, and so when this
/// process has ended without killing it; until then the pipe is kept in `process`.
pub struct RoleProcess {
    pub kind: &'static str,
    pub name: String,
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

impl RoleProcess {
    /// This executable as another role, with our settings and no file: it starts in a folder in which nobody can put one.
    pub fn spawn(
        stage: &Stage,
        kind: &'static str,
        name: &str,
        arguments: &[&str],
        stdout: Stdio,
    ) -> anyhow::Result<Self> {
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

    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// The status of a role that has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.process.try_wait().ok().flatten()
    }

    /// Waits for the line with the address of a role with a server, whose stdout must be piped.
    pub async fn address(&mut self) -> anyhow::Result<String> {
        let (kind, stdout) = (self.kind, self.process.stdout.take().map(BufReader::new).expect("it is piped"));
        // The reading ends when the process is killed, and so when something goes wrong.
        let reading = tokio::task::spawn_blocking(move || first_line(stdout));
        let read = tokio::time::timeout(ADDRESS_TIMEOUT, reading).await;
        let (line, stdout) =
            read.map_err(|_| took_too_long(&format!("the {kind} said no address"), ADDRESS_TIMEOUT.as_secs()))???;
        self._stdout = Some(stdout);
        let announced: Announced = serde_json::from_str(&line)
            .with_context(|| format!("the {kind} ended before it said its address; its log is above"))?;
        Ok(announced.address)
    }
}

impl Drop for RoleProcess {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to do.
        _ = self.process.kill();
        _ = self.process.wait();
        _ = self.log.take().map(JoinHandle::join);
    }
}

/// Lets roles finish what they are at, such as the declaration of a queue; whoever takes too long is killed.
pub async fn terminate(mut roles: Vec<RoleProcess>) {
    let pids: Vec<String> = roles.iter().map(|role| role.process.id().to_string()).collect();
    if !pids.is_empty() {
        // The shell's own `kill`, because the program is not on every machine; without a shell all that is left is SIGKILL. One
        // that has ended already is none of its business.
        let kill = ["-c", r#"kill -s "$@""#, "kill", "TERM"];
        _ = Command::new("sh").args(kill).args(pids).stderr(Stdio::null()).status();
    }
    let all_ended = async {
        while roles.iter_mut().any(|role| matches!(role.process.try_wait(), Ok(None))) {
            tokio::time::sleep(STOP_POLL).await;
        }
    };
    _ = tokio::time::timeout(STOP_TIMEOUT, all_ended).await;
    // A role that still runs is killed when its value is dropped.
    drop(roles);
}

fn first_line(mut stdout: BufReader<ChildStdout>) -> std::io::Result<(String, BufReader<ChildStdout>)> {
    let mut line = String::new();
    stdout.read_line(&mut line)?;
    Ok((line, stdout))
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

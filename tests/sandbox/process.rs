//! The real binary: roles as processes of their own, stopped by SIGTERM or SIGKILL.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdout, Command};

/// The pause between two looks at a condition, and the number of looks before a test fails.
const POLL_INTERVAL: Duration = Duration::from_millis(50);
const POLLS_MAX: u32 = 2_400;
/// The longest time that a process, or a command that runs to its end, may take for what a test waits for.
const WAIT_MAX: Duration = Duration::from_secs(300);

/// Fails a test instead of letting it hang.
pub async fn in_time<T>(what: &str, waiting: impl Future<Output = T>) -> T {
    tokio::time::timeout(WAIT_MAX, waiting).await.unwrap_or_else(|_| panic!("no {what} within {WAIT_MAX:?}"))
}

/// A running `paceline`. Dropping it kills it.
pub struct Process {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Process {
    pub fn start(arguments: &[&str], environment: &[(&str, String)]) -> Self {
        Self::start_of(&binary(), arguments, environment)
    }

    /// Of a copy of the binary.
    pub fn start_of(binary: &Path, arguments: &[&str], environment: &[(&str, String)]) -> Self {
        let mut command = Command::new(binary);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        // Each process gets exactly what its test says, whatever the shell has.
        for name in ["PACELINE_BROKER_URL", "PACELINE_SINK_URL", "PACELINE_LEDGER_URL", "PACELINE_SERVER"] {
            command.env_remove(name);
        }
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        let mut child = command.spawn().expect("the binary starts");
        let stdout = child.stdout.take().expect("stdout is piped");
        Self { child, lines: BufReader::new(stdout).lines() }
    }

    /// The next line of stdout, as JSON.
    pub async fn json(&mut self) -> serde_json::Value {
        let line = in_time("line of the process", self.lines.next_line()).await;
        let line = line.expect("stdout is text").expect("the process says something before it ends");
        serde_json::from_str(&line).unwrap_or_else(|e| panic!("{line:?} is not JSON: {e}"))
    }

    pub fn pid(&self) -> u32 {
        self.child.id().expect("the process runs")
    }

    /// Sends a signal by its name, such as `STOP`.
    pub async fn signal(&self, name: &str) {
        signal(self.pid(), name).await;
    }

    pub async fn kill(mut self) {
        self.child.kill().await.expect("it can be killed");
    }

    /// SIGTERM, and how it ends.
    pub async fn terminate(mut self) -> ExitStatus {
        self.signal("TERM").await;
        in_time("end of the process", self.child.wait()).await.expect("it ends")
    }
}

/// Sends a signal by its name, by the shell's own `kill`: the program is not on every machine.
pub async fn signal(pid: u32, name: &str) {
    let kill = ["-c", r#"kill -s "$@""#, "kill", name, &pid.to_string()];
    let sent = Command::new("sh").args(kill).status().await.expect("the shell runs");
    assert!(sent.success(), "kill -s {name}");
}

/// GET of an admin port's `path`: (status, body).
pub async fn get(admin: &str, path: &str) -> (u16, String) {
    in_time(&format!("answer of {admin}{path}"), ask(admin, path)).await
}

async fn ask(admin: &str, path: &str) -> (u16, String) {
    let address = admin.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.expect("the admin port listens");
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("it answers");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
    (status, body.to_owned())
}

/// Asks `/readyz` until `enough` says so of (whether it is ready, the report); `/livez` must answer all the while.
pub async fn until_readyz(
    admin: &str,
    what: &str,
    enough: impl Fn(bool, &serde_json::Value) -> bool,
) -> serde_json::Value {
    let mut last = None;
    for _ in 0..POLLS_MAX {
        let (status, body) = get(admin, "/readyz").await;
        let report: serde_json::Value = serde_json::from_str(&body).unwrap_or_else(|e| panic!("{body:?}: {e}"));
        assert_eq!(report["ready"], status == 200, "{status}: {report}");
        assert_eq!(get(admin, "/livez").await, (200, "ok".to_owned()));
        if enough(status == 200, &report) {
            return report;
        }
        last = Some(report);
        tokio::time::sleep(POLL_INTERVAL).await;
    }
    panic!("no {what}: {last:?}");
}

/// Runs a command to its end: (exit code, stdout, stderr).
pub async fn run(arguments: &[&str], environment: &[(&str, String)]) -> (i32, String, String) {
    let mut command = command(arguments, environment);
    let what = format!("end of {arguments:?}");
    let output = in_time(&what, command.kill_on_drop(true).output()).await.expect("the binary runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("output is text");
    (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
}

/// A command that was not started yet, for a test that wants more of it than its end.
pub fn command(arguments: &[&str], environment: &[(&str, String)]) -> Command {
    let mut command = Command::new(binary());
    command.args(arguments).envs(environment.iter().map(|(name, value)| (name, value)));
    command
}

/// `target/<profile>/paceline`, beside the folder of the test binary.
pub fn binary() -> PathBuf {
    let test = std::env::current_exe().expect("a test has a path");
    let binary = test.parent().and_then(|deps| deps.parent()).expect("target/<profile>/deps").join("paceline");
    assert!(
        binary.is_file(),
        "{} is missing: run `cargo build -p paceline-cli` first (`make test` does)",
        binary.display()
    );
    binary
}

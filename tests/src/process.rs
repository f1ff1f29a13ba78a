//! The real binary: roles as processes of their own, stopped by SIGTERM or SIGKILL.

use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};

use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

/// A running `paceline`. Dropping it kills it.
pub struct Process {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Process {
    pub fn start(arguments: &[&str], environment: &[(&str, String)]) -> Self {
        let mut command = Command::new(binary());
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
        let line =
            self.lines.next_line().await.expect("stdout is text").expect("the process says something before it ends");
        serde_json::from_str(&line).unwrap_or_else(|e| panic!("{line:?} is not JSON: {e}"))
    }

    pub fn pid(&self) -> u32 {
        self.child.id().expect("the process runs")
    }

    pub async fn kill(mut self) {
        self.child.kill().await.expect("it can be killed");
    }

    /// SIGTERM, and how it ends.
    pub async fn terminate(mut self) -> ExitStatus {
        let killed = Command::new("kill").arg(self.pid().to_string()).status().await.expect("kill runs");
        assert!(killed.success());
        self.child.wait().await.expect("it ends")
    }
}

/// Runs a command to its end: (exit code, stdout, stderr).
pub async fn run(arguments: &[&str], environment: &[(&str, String)]) -> (i32, String, String) {
    let mut command = Command::new(binary());
    command.args(arguments).envs(environment.iter().map(|(name, value)| (name, value)));
    let output = command.output().await.expect("the binary runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("output is text");
    (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
}

/// `target/<profile>/paceline`, beside the folder of the test binary.
fn binary() -> PathBuf {
    let test = std::env::current_exe().expect("a test has a path");
    let binary = test.parent().and_then(|deps| deps.parent()).expect("target/<profile>/deps").join("paceline");
    assert!(
        binary.is_file(),
        "{} is missing: run `cargo build -p paceline-cli` first (`make test` does)",
        binary.display()
    );
    binary
}

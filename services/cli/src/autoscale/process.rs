//! One worker as a process of this same binary. The pipe on a worker's stdin is its leash: when the pipe closes,
//! by intent or because the supervisor has ended in whatever way, the worker stops in order, as at SIGTERM.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use paceline_runtime::lifecycle::Shutdown;
use tokio::process::{Child, ChildStdin, Command};

use super::arguments::of_worker;

/// A worker that was asked to leave has its own patience. So much later something is wrong with it: stopped, or hung.
pub const KILL_MARGIN: Duration = Duration::from_secs(5);

/// Makes the command of a worker from its name and the patience that it may have.
pub type WorkerCommand = fn(&str, Duration) -> anyhow::Result<Command>;

/// The command of this binary as a worker; the error says that the binary is not found.
pub fn this_binary(id: &str, patience: Duration) -> anyhow::Result<Command> {
    let mut command = Command::new(executable()?);
    command.args(of_worker(std::env::args_os().skip(1), id, patience));
    Ok(command)
}

/// The file that runs. An upgrade may have put another file in its place, or none; Linux keeps the one that runs, and workers from it fit
/// to their supervisor.
fn executable() -> anyhow::Result<PathBuf> {
    let named = std::env::current_exe().context("cannot find this executable")?;
    let running = Path::new("/proc/self/exe");
    Ok(if !named.exists() && running.exists() { running.to_owned() } else { named })
}

/// Starts the worker and answers its leash. The worker has a process group of its own: a Ctrl-C is for the supervisor, which stops its
/// workers in order.
pub fn spawn(mut command: Command) -> anyhow::Result<(Child, ChildStdin)> {
    command.process_group(0).stdin(Stdio::piped()).kill_on_drop(true);
    let mut process = command.spawn().context("cannot start a worker")?;
    let leash = process.stdin.take().expect("stdin is piped");
    Ok((process, leash))
}

/// Waits until the process has ended. A process that is told to stop, and has not `overdue` later, is killed: the jobs that it holds go
/// back to their queue.
pub async fn follow(
    process: &mut Child,
    leash: ChildStdin,
    stop: Shutdown,
    kill: Shutdown,
    overdue: Duration,
) -> std::io::Result<ExitStatus> {
    let too_long = async {
        stop.triggered().await;
        drop(leash);
        tokio::time::sleep(overdue).await;
    };
    tokio::select! {
        biased;
        status = process.wait() => return status,
        () = kill.triggered() => (),
        () = too_long => {
            tracing::warn!(pid = process.id(), "a worker did not leave in time and is killed; what it holds goes back to its queue");
        }
    }
    process.start_kill()?;
    process.wait().await
}

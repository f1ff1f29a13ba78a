//! The workers of a supervisor, each a process of this same binary. The pipe on a worker's stdin is its leash: closed, by intent or because
//! the supervisor has ended in whatever way, it is the stop in order that SIGTERM is.

use std::collections::{BTreeMap, BTreeSet};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use paceline_core::ids;
use paceline_runtime::lifecycle::Shutdown;
use tokio::process::{Child, ChildStdin, Command};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::arguments::of_worker;
use crate::exit::Exit;

/// After a worker that died nobody is started for this long; twice as long after each one that dies soon again.
const PAUSE_MIN: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// A worker that lived longer says nothing about the next one.
const LIVED_WELL: Duration = Duration::from_secs(60);

/// How a worker ended, other than by being told to.
pub enum Ended {
    /// It was told to stop, or another may take its place.
    Replaceable,
    /// Whoever is started like that cannot work: with this exit code.
    ForGood(i32),
}

pub struct Children {
    id: Option<String>,
    patience: Duration,
    /// By the number in the order of starting.
    running: BTreeMap<u64, Running>,
    ends: JoinSet<(u64, std::io::Result<ExitStatus>)>,
    started: u64,
    pause: Duration,
    start_at: Option<Instant>,
}

struct Running {
    id: String,
    stop: Shutdown,
    kill: Shutdown,
    started_at: Instant,
}

impl Children {
    /// A worker that is asked to leave may take `patience` to finish. With an id, the workers are called by it and a number.
    pub fn new(id: Option<String>, patience: Duration) -> paceline_core::Result<Self> {
        if let Some(id) = &id {
            ids::check_name("id", &format!("{id}-{}", u32::MAX))?;
        }
        let (running, ends) = Default::default();
        Ok(Self { id, patience, running, ends, started: 0, pause: PAUSE_MIN, start_at: None })
    }

    /// Starts workers, or lets the newest leave, until so many are there. After a death it waits before it starts another.
    pub fn fill(&mut self, target: u32) {
        if self.start_at.is_some_and(|at| Instant::now() >= at) {
            self.start_at = None;
        }
        while self.staying().count() < target as usize && self.start_at.is_none() {
            if let Err(error) = self.start() {
                tracing::warn!(
                    error = format!("{error:#}"),
                    pause_ms = self.pause.as_millis() as u64,
                    "no worker could be started"
                );
                self.postpone();
            }
        }
        let surplus = self.staying().count().saturating_sub(target as usize);
        for running in self.staying().rev().take(surplus) {
            tracing::info!(
                worker = running.id,
                "it is not needed any more: it takes no more and finishes what it holds"
            );
            running.stop.trigger();
        }
    }

    /// The names of those that are not leaving.
    pub fn ids(&self) -> BTreeSet<String> {
        self.staying().map(|running| running.id.clone()).collect()
    }

    /// Waits for the next one that ends.
    pub async fn ended(&mut self) -> Ended {
        match self.ends.join_next().await {
            Some(Ok((number, status))) => self.note(number, status),
            Some(Err(panic)) => std::panic::resume_unwind(panic.into_panic()),
            None => std::future::pending().await,
        }
    }

    /// When one may be started that may not be now.
    pub fn start_at(&self) -> Option<Instant> {
        self.start_at
    }

    /// Lets all leave, and ends those that take longer than `grace`: what they hold goes back to the queue.
    pub async fn stop_all(&mut self, grace: Duration) {
        self.running.values().for_each(|running| running.stop.trigger());
        let all_ended = async { while self.ends.join_next().await.is_some() {} };
        if tokio::time::timeout(grace, all_ended).await.is_err() {
            tracing::warn!("the grace is over; what the workers still hold goes back to its queue");
            self.running.values().for_each(|running| running.kill.trigger());
            while self.ends.join_next().await.is_some() {}
        }
    }

    fn staying(&self) -> impl DoubleEndedIterator<Item = &Running> {
        self.running.values().filter(|running| !running.stop.is_triggered())
    }

    fn start(&mut self) -> anyhow::Result<()> {
        self.started += 1;
        let number = self.started;
        let id = match &self.id {
            Some(id) => format!("{id}-{number}"),
            None => {
                let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
                ids::process_name("worker", &host, std::process::id())
            }
        };
        let (mut process, leash) = spawn(&id, self.patience)?;
        let (stop, kill) = (Shutdown::new(), Shutdown::new());
        let (stopped, killed) = (stop.clone(), kill.clone());
        tracing::info!(worker = id, pid = process.id(), "worker started");
        self.ends.spawn(async move { (number, follow(&mut process, leash, stopped, killed).await) });
        self.running.insert(number, Running { id, stop, kill, started_at: Instant::now() });
        Ok(())
    }

    fn note(&mut self, number: u64, status: std::io::Result<ExitStatus>) -> Ended {
        let Some(ended) = self.running.remove(&number) else { return Ended::Replaceable };
        let how = match &status {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        };
        if ended.stop.is_triggered() {
            tracing::info!(worker = ended.id, how, "worker ended");
            return Ended::Replaceable;
        }
        if let Some(code) = status.ok().and_then(|status| status.code()).filter(|code| *code == Exit::Usage as i32) {
            return Ended::ForGood(code);
        }
        if ended.started_at.elapsed() >= LIVED_WELL {
            self.pause = PAUSE_MIN;
        }
        tracing::warn!(
            worker = ended.id,
            how,
            pause_ms = self.pause.as_millis() as u64,
            "a worker died; another follows"
        );
        self.postpone();
        Ended::Replaceable
    }

    fn postpone(&mut self) {
        self.start_at = Some(Instant::now() + self.pause);
        self.pause = (self.pause * 2).min(PAUSE_MAX);
    }
}

/// This binary as a worker. A Ctrl-C is for the supervisor, which stops its workers in order.
fn spawn(id: &str, patience: Duration) -> anyhow::Result<(Child, ChildStdin)> {
    let executable = std::env::current_exe().context("cannot find this executable")?;
    let mut command = Command::new(executable);
    command.args(of_worker(std::env::args_os().skip(1), id, patience)).process_group(0);
    let mut process = command.stdin(Stdio::piped()).kill_on_drop(true).spawn().context("cannot start a worker")?;
    let leash = process.stdin.take().expect("stdin is piped");
    Ok((process, leash))
}

/// Until the process has ended.
async fn follow(process: &mut Child, leash: ChildStdin, stop: Shutdown, kill: Shutdown) -> std::io::Result<ExitStatus> {
    let mut leash = Some(leash);
    loop {
        tokio::select! {
            biased;
            status = process.wait() => return status,
            () = kill.triggered() => {
                process.start_kill()?;
                return process.wait().await;
            }
            () = stop.triggered(), if leash.is_some() => drop(leash.take()),
        }
    }
}

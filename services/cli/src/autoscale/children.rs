//! The workers of a supervisor: started until enough are there, let go when fewer are wanted, replaced when they die. Each is a
//! [`process`](super::process).

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitStatus;
use std::time::Duration;

use paceline_core::backoff::Backoff;
use paceline_core::ids;
use paceline_runtime::lifecycle::Shutdown;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::process::{KILL_MARGIN, WorkerCommand, follow, spawn, this_binary};
use crate::exit::Exit;
use crate::roles::process_name;

/// The pause after a worker that died, in which none is started; it doubles with each worker that dies soon again, up to the maximum.
const PAUSE_MIN: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// The most processes, in parts of the most workers that may be wanted: workers that leave are processes too.
const PROCESSES_FACTOR: usize = 2;
/// A worker that lived longer says nothing about the next one.
const LIVED_WELL: Duration = Duration::from_secs(60);

/// The end of a worker that nobody told to end.
pub enum ChildExit {
    /// The worker was told to stop, or another may take its place.
    Replaceable,
    /// No worker that is started like that can work; it ended with this exit code.
    ForGood(i32),
}

pub struct Children {
    /// The beginning of the names of the workers, if one was given.
    prefix: Option<String>,
    patience: Duration,
    processes_max: usize,
    worker: WorkerCommand,
    is_full: bool,
    /// The children that run, by their number in the order of starting.
    running: BTreeMap<u64, Running>,
    ends: JoinSet<(u64, std::io::Result<ExitStatus>)>,
    started: u64,
    pause: Backoff,
    start_at: Option<Instant>,
}

struct Running {
    id: String,
    stop: Shutdown,
    kill: Shutdown,
    started_at: Instant,
}

impl Children {
    /// No workers yet. A worker that is asked to leave may take `patience` to finish; there are at most twice `workers_max` processes. The
    /// name of a worker is `id`, something random of this supervisor and a number: a worker of a former supervisor may still be on the list.
    /// The error says that `id` is no name.
    pub fn new(id: Option<String>, workers_max: u32, patience: Duration) -> paceline_core::Result<Self> {
        let prefix = id.map(|id| format!("{id}-{}", ids::random_tail()));
        if let Some(prefix) = &prefix {
            ids::check_name("id", &format!("{prefix}-{}", u32::MAX))?;
        }
        let (running, ends) = Default::default();
        let processes_max = PROCESSES_FACTOR * workers_max as usize;
        let (worker, is_full, started, pause, start_at) =
            (this_binary as WorkerCommand, false, 0, Backoff::new(PAUSE_MIN, PAUSE_MAX), None);
        Ok(Self { prefix, patience, processes_max, worker, is_full, running, ends, started, pause, start_at })
    }

    /// Starts workers, or lets the newest leave, until so many are there. After a death there is a pause before the next start.
    pub fn fill(&mut self, target: u32) {
        if self.start_at.is_some_and(|at| Instant::now() >= at) {
            self.start_at = None;
        }
        while self.staying().count() < target as usize && self.start_at.is_none() && self.has_room() {
            if let Err(error) = self.start() {
                tracing::warn!(
                    error = format!("{error:#}"),
                    pause_ms = self.pause.peek().as_millis() as u64,
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

    /// True unless the processes, those that leave included, are as many as there may be. The beginning of that is logged once.
    fn has_room(&mut self) -> bool {
        let is_full = self.running.len() >= self.processes_max;
        if is_full && !self.is_full {
            let (processes, leaving) = (self.running.len(), self.running.len() - self.staying().count());
            tracing::warn!(processes, leaving, "no worker is started until one of those that leave has ended");
        }
        self.is_full = is_full;
        !is_full
    }

    /// The names of the workers that are not leaving.
    pub fn ids(&self) -> BTreeSet<String> {
        self.staying().map(|running| running.id.clone()).collect()
    }

    /// Waits for the next worker that ends.
    pub async fn ended(&mut self) -> ChildExit {
        match self.ends.join_next().await {
            Some(Ok((number, status))) => self.note(number, status),
            Some(Err(panic)) => std::panic::resume_unwind(panic.into_panic()),
            None => std::future::pending().await,
        }
    }

    /// The time at which a worker may be started again after a death; `None`: now.
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
        let prefixed = self.prefix.as_ref().map(|prefix| format!("{prefix}-{number}"));
        let id = prefixed.unwrap_or_else(|| process_name("worker"));
        let (mut process, leash) = spawn((self.worker)(&id, self.patience)?)?;
        let overdue = self.patience + KILL_MARGIN;
        let (stop, kill) = (Shutdown::new(), Shutdown::new());
        let (stopped, killed) = (stop.clone(), kill.clone());
        tracing::info!(worker = id, pid = process.id(), "worker started");
        self.ends.spawn(async move { (number, follow(&mut process, leash, stopped, killed, overdue).await) });
        self.running.insert(number, Running { id, stop, kill, started_at: Instant::now() });
        Ok(())
    }

    fn note(&mut self, number: u64, status: std::io::Result<ExitStatus>) -> ChildExit {
        let Some(ended) = self.running.remove(&number) else { return ChildExit::Replaceable };
        let how = match &status {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        };
        if ended.stop.is_triggered() {
            tracing::info!(worker = ended.id, how, "worker ended");
            return ChildExit::Replaceable;
        }
        if let Some(code) = status.ok().and_then(|status| status.code()).filter(|code| *code == Exit::Usage as i32) {
            return ChildExit::ForGood(code);
        }
        if ended.started_at.elapsed() >= LIVED_WELL {
            self.pause.reset();
        }
        tracing::warn!(
            worker = ended.id,
            how,
            pause_ms = self.pause.peek().as_millis() as u64,
            "a worker died; another follows"
        );
        self.postpone();
        ChildExit::Replaceable
    }

    fn postpone(&mut self) {
        self.start_at = Some(Instant::now() + self.pause.next(1.0));
    }
}

#[cfg(test)]
mod tests {
    use tokio::process::Command;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(6);

    /// Processes that stop themselves as SIGSTOP would, so that none leaves when it is asked to.
    fn frozen(workers_max: u32) -> Children {
        let mut children = Children::new(None, workers_max, PATIENCE).unwrap();
        children.worker = |_, _| {
            let mut command = Command::new("sh");
            command.args(["-c", "kill -s STOP $$"]);
            Ok(command)
        };
        children
    }

    #[tokio::test(start_paused = true)]
    async fn those_that_do_not_leave_are_killed_and_until_then_there_is_a_limit() {
        let mut children = frozen(2);
        for running in [2, 4, 4] {
            children.fill(2);
            assert_eq!(children.running.len(), running);
            children.fill(0);
        }
        children.fill(2);
        assert_eq!(children.staying().count(), 0, "all four are still there");
        let begun = Instant::now();
        for _ in 0..4 {
            assert!(matches!(children.ended().await, ChildExit::Replaceable));
        }
        assert!(begun.elapsed() >= PATIENCE + KILL_MARGIN, "{:?}", begun.elapsed());
        children.fill(2);
        assert_eq!(children.staying().count(), 2);
        children.stop_all(Duration::ZERO).await;
    }

    #[test]
    fn a_supervisor_that_comes_back_gives_its_workers_other_names() {
        let prefix = || Children::new(Some("boss".into()), 1, PATIENCE).unwrap().prefix.unwrap();
        let (one, other) = (prefix(), prefix());
        assert!(one.starts_with("boss-") && one != other, "{one} {other}");
        assert!(Children::new(Some("BOSS".into()), 1, PATIENCE).is_err());
    }
}

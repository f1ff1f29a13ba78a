//! The handle on a scheduler: each call of the API on core types. A call writes to the ledger and answers as the ledger then says; the
//! run's owner, here or in another scheduler, acts on the change.

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use paceline_core::error::ErrorKind;
use paceline_core::error::codes;
use paceline_core::groups::Groups;
use paceline_core::ids::RunId;
use paceline_core::ports::runs::Created;
use paceline_core::run::{RunChange, RunRecord, RunSpec, RunState, Snapshot, check_total};
use paceline_core::{Error, Result};

use super::validate::{RunUpdate, StartRun};
use crate::context::Context;
use crate::owner::Wakers;

/// The most runs in a page of a list, and what an unset page size means.
pub const PAGE_RUNS_MAX: usize = 1000;
const PAGE_RUNS_DEFAULT: usize = 100;
/// Reads of a list that are in flight at once.
const PAGE_READS_MAX: usize = 16;
/// The most tries of one change, while somebody else changes the run.
const CHANGE_TRIES_MAX: usize = 16;

/// A page of runs, newest first.
#[derive(Debug, Clone)]
pub struct RunPage {
    pub runs: Vec<Snapshot>,
    pub next: Option<RunId>,
}

/// A cheap handle on the scheduler.
#[derive(Clone)]
pub struct SchedulerHandle {
    pub(crate) context: Context,
    pub(crate) wakers: Wakers,
}

impl SchedulerHandle {
    pub fn new(context: Context) -> Self {
        Self { context, wakers: Wakers::default() }
    }

    /// Starts a run; durable when it answers. A request id that was used before answers its run.
    pub async fn start(&self, ask: StartRun) -> Result<Snapshot> {
        let request_id = ask.request_id.clone();
        let groups = Groups::new([self.context.config.group.as_str()])?;
        let spec = self.context.config.rules.check(ask, groups, self.context.ports.clock.wall_ms())?;
        match self.context.ports.ledger.runs.create(&spec, &request_id).await? {
            Created::Existing(run) => self.get(&run).await,
            Created::New => {
                tracing::info!(run = %spec.run_id, jobs = spec.rate.jobs, per_minutes = spec.rate.per_minutes(), total = spec.total, "run started");
                self.wakers.wake(&spec.run_id);
                self.get(&spec.run_id).await
            }
        }
    }

    /// Changes rate, total or both of a run that is RUNNING or PAUSED.
    pub async fn update(&self, run: &RunId, update: RunUpdate) -> Result<Snapshot> {
        let rate = update.check()?;
        self.change(run, |record| {
            require(record, &[RunState::Running, RunState::Paused], "update")?;
            let mut spec = record.spec.clone();
            spec.rate = rate.unwrap_or(spec.rate);
            spec.total = update.total.unwrap_or(spec.total);
            check_total(record, spec.total)?;
            Ok((spec, record.state))
        })
        .await
    }

    pub async fn pause(&self, run: &RunId) -> Result<Snapshot> {
        self.to_state(run, RunState::Paused, &[RunState::Running, RunState::Paused], "pause").await
    }

    /// Lets a run that is paused, or that FAILED, go on. Resuming a run that goes on, also one that only drains, is a success.
    pub async fn resume(&self, run: &RunId) -> Result<Snapshot> {
        let from = [RunState::Paused, RunState::Failed, RunState::Running, RunState::Draining];
        self.to_state(run, RunState::Running, &from, "resume").await
    }

    /// Stops enqueueing; what is enqueued drains, also after the run FAILED. Stopping a run that is stopping or stopped is a success.
    pub async fn stop(&self, run: &RunId) -> Result<Snapshot> {
        let from = [
            RunState::Running,
            RunState::Paused,
            RunState::Draining,
            RunState::Failed,
            RunState::Stopping,
            RunState::Stopped,
        ];
        self.to_state(run, RunState::Stopping, &from, "stop").await
    }

    pub async fn get(&self, run: &RunId) -> Result<Snapshot> {
        self.find(run).await?.ok_or_else(|| unknown(run))
    }

    /// The numbers of the configured group, or of the run's first one if the run was not made for the configured group.
    async fn find(&self, run: &RunId) -> Result<Option<Snapshot>> {
        let (ledger, group) = (&self.context.ports.ledger, &self.context.config.group);
        match ledger.counts.snapshot(run, group).await? {
            Some(snapshot) if !snapshot.record.spec.groups.contains(group) => {
                ledger.counts.snapshot(run, snapshot.record.spec.groups.first()).await
            }
            snapshot => Ok(snapshot),
        }
    }

    /// `limit` 0 means the default.
    pub async fn list(&self, before: Option<&RunId>, limit: usize) -> Result<RunPage> {
        let limit = if limit == 0 { PAGE_RUNS_DEFAULT } else { limit.min(PAGE_RUNS_MAX) };
        let ids = self.context.ports.ledger.runs.list(before, limit).await?;
        let next = (ids.len() == limit).then(|| ids.last().cloned()).flatten();
        let mut reads = Vec::with_capacity(ids.len());
        for run in &ids {
            reads.push(self.find(run));
        }
        let runs: Vec<Option<Snapshot>> = stream::iter(reads).buffered(PAGE_READS_MAX).try_collect().await?;
        Ok(RunPage { runs: runs.into_iter().flatten().collect(), next })
    }

    async fn to_state(&self, run: &RunId, to: RunState, from: &[RunState], verb: &str) -> Result<Snapshot> {
        self.change(run, |record| {
            require(record, from, verb)?;
            let is_beyond = match to {
                RunState::Running => record.state == RunState::Draining,
                _ => record.state == RunState::Stopped,
            };
            Ok((record.spec.clone(), if is_beyond { record.state } else { to }))
        })
        .await
    }

    /// Reads, decides and writes, again from the start when somebody else was faster.
    async fn change(
        &self,
        run: &RunId,
        decide: impl Fn(&RunRecord) -> Result<(RunSpec, RunState)>,
    ) -> Result<Snapshot> {
        for _ in 0..CHANGE_TRIES_MAX {
            let record = self.context.ports.ledger.runs.find(run).await?.ok_or_else(|| unknown(run))?;
            let (spec, state) = decide(&record)?;
            let change = RunChange { expected_revision: record.revision, spec, state };
            match self.context.ports.ledger.runs.change(run, &change).await {
                Err(error) if error.kind == ErrorKind::Aborted => continue,
                Err(error) => return Err(error),
                Ok(same) if same.revision == record.revision => return self.get(run).await,
                Ok(changed) => {
                    tracing::info!(%run, state = %changed.state, jobs = changed.spec.rate.jobs, per_minutes = changed.spec.rate.per_minutes(), total = changed.spec.total, "run changed");
                    self.wakers.wake(run);
                    return self.get(run).await;
                }
            }
        }
        Err(Error::aborted(format!("run {run} changed {CHANGE_TRIES_MAX} times meanwhile; try again"))
            .coded(codes::RUN_CHANGED_MEANWHILE))
    }
}

fn require(record: &RunRecord, allowed: &[RunState], verb: &str) -> Result<()> {
    if allowed.contains(&record.state) {
        return Ok(());
    }
    let (run, state) = (&record.spec.run_id, record.state);
    Err(Error::failed_precondition(format!("cannot {verb} run {run}: it is {state}")).coded(codes::RUN_STATE_FORBIDS))
}

fn unknown(run: &RunId) -> Error {
    Error::not_found(format!("no run {run}; `paceline run list` shows the runs")).coded(codes::RUN_UNKNOWN)
}

//! The runs, jobs and heartbeats that cases make, and the calls that they share.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::error::{ErrorKind, Result};
use crate::groups::Groups;
use crate::ids::{DEFAULT_GROUP, DEFAULT_HANDLER, DEFAULT_QUEUE, RunId};
use crate::job::{RANGE_JOBS_MAX, Range};
use crate::pacing::{CatchUp, Pacing, Rate};
use crate::ports::Ledger;
use crate::ports::counts::EndedJob;
use crate::ports::leases::Fence;
use crate::ports::ranges::Reservation;
use crate::ports::runs::Created;
use crate::ports::workers::{QueueLoad, WorkerInfo};
use crate::run::{RunChange, RunRecord, RunSpec, RunState, Snapshot};

/// Longer than any case takes.
pub(crate) const LONG: Duration = Duration::from_secs(600);
/// The longest time that a case waits for something that must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(15);
pub(crate) const POLL: Duration = Duration::from_millis(10);

pub(crate) const GROUP: &str = DEFAULT_GROUP;

/// A run with its owner.
pub(crate) struct Owned {
    pub run: RunId,
    pub fence: Fence,
}

pub(crate) fn spec(total: Option<u64>) -> RunSpec {
    spec_of(RunId::generate(1_700_000_000_000), total)
}

pub(crate) fn spec_of(run_id: RunId, total: Option<u64>) -> RunSpec {
    RunSpec {
        run_id,
        rate: Rate { jobs: 1000, per_ns: 60_000_000_000 },
        total,
        queue: DEFAULT_QUEUE.into(),
        groups: Groups::default(),
        handler: DEFAULT_HANDLER.into(),
        payload: Map::from_iter([("text".to_owned(), Value::from("grüße ✓ \"quoted\" \n 日本"))]),
        catch_up: CatchUp::All,
        created_at_ms: 1_700_000_000_000,
        traceparent: None,
    }
}

/// A pacer's state with numbers that a double cannot hold.
pub(crate) fn pacing(unreserved: u64) -> Pacing {
    Pacing {
        remainder: 9_007_199_254_740_993,
        unreserved,
        owed_ns: 31_557_599_999_999_999,
        as_of_ms: 1_700_000_000_123,
        rate: Some(Rate { jobs: 7, per_ns: 9_007_199_254_740_993 }),
    }
}

/// Starts a run and takes its lease.
pub(crate) async fn owned(ledger: &Ledger, total: Option<u64>) -> Owned {
    let spec = spec(total);
    assert_eq!(ledger.runs.create(&spec, "").await.unwrap(), Created::New);
    let fence = ledger.leases.acquire(&spec.run_id, "owner", LONG).await.unwrap().expect("nobody else knows the run");
    Owned { run: spec.run_id, fence }
}

/// Starts a run with `count` jobs reserved.
pub(crate) async fn owned_with(ledger: &Ledger, count: u64) -> Owned {
    let owned = owned(ledger, None).await;
    reserve_all(ledger, &owned, count).await;
    owned
}

pub(crate) async fn reserve_all(ledger: &Ledger, owned: &Owned, count: u64) {
    let end = read(ledger, &owned.run).await.cursor + count;
    let mut cursor = end - count;
    while cursor < end {
        cursor = reserve(ledger, owned, (end - cursor).min(RANGE_JOBS_MAX)).await.unwrap().end();
    }
}

/// Reserves at the run's present revision.
pub(crate) async fn reserve(ledger: &Ledger, owned: &Owned, count: u64) -> Result<Range> {
    let revision = read(ledger, &owned.run).await.revision;
    ledger.ranges.reserve(&owned.run, owned.fence, &reservation(count, revision)).await
}

pub(crate) fn reservation(count: u64, revision: u64) -> Reservation {
    Reservation { count, scheduled_at_ms: 1_700_000_001_000, pacing: pacing(count), revision }
}

pub(crate) async fn read(ledger: &Ledger, run: &RunId) -> RunRecord {
    ledger.runs.find(run).await.unwrap().expect("the run is there")
}

pub(crate) async fn numbers(ledger: &Ledger, run: &RunId) -> Snapshot {
    ledger.counts.snapshot(run, GROUP).await.unwrap().expect("the run is there")
}

/// A caller's change of the state alone.
pub(crate) async fn become_state(ledger: &Ledger, run: &RunId, state: RunState) -> Result<RunRecord> {
    let current = read(ledger, run).await;
    ledger.runs.change(run, &RunChange { expected_revision: current.revision, spec: current.spec, state }).await
}

pub(crate) fn processed(run: &RunId, seqs: impl IntoIterator<Item = u64>) -> Vec<EndedJob> {
    seqs.into_iter().map(|seq| EndedJob { run: run.clone(), seq, dead: false }).collect()
}

pub(crate) fn dead(run: &RunId, seqs: impl IntoIterator<Item = u64>) -> Vec<EndedJob> {
    seqs.into_iter().map(|seq| EndedJob { run: run.clone(), seq, dead: true }).collect()
}

pub(crate) fn assert_refused<T: std::fmt::Debug>(result: Result<T>, kind: ErrorKind) {
    match result {
        Err(error) if error.kind == kind => {}
        other => panic!("expected {kind:?}, found {other:?}"),
    }
}

/// Polls until `ready` answers something; fails after [`PATIENCE`].
pub(crate) async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut ready: impl FnMut() -> F) -> T {
    let polled = async {
        loop {
            if let Some(answer) = ready().await {
                return answer;
            }
            tokio::time::sleep(POLL).await;
        }
    };
    tokio::time::timeout(PATIENCE, polled).await.unwrap_or_else(|_| panic!("waited {PATIENCE:?} for {what}"))
}

/// A drained run in `state`, whose total is reserved if it has to be.
pub(crate) async fn in_state(ledger: &Ledger, state: RunState) -> Owned {
    let owned = owned(ledger, Some(0)).await;
    let path: &[RunState] = match state {
        RunState::Running => &[],
        RunState::Paused => &[RunState::Paused],
        RunState::Stopping => &[RunState::Stopping],
        RunState::Stopped => &[RunState::Stopping, RunState::Stopped],
        RunState::Draining => &[RunState::Draining],
        RunState::Completed => &[RunState::Draining, RunState::Completed],
        RunState::Failed => &[RunState::Failed],
    };
    for step in path {
        ledger.leases.advance(&owned.run, owned.fence, *step, None).await.unwrap();
    }
    owned
}

pub(crate) fn worker(id: &str, processed: u64) -> WorkerInfo {
    WorkerInfo {
        worker_id: id.into(),
        version: "1.2.3".into(),
        queue: DEFAULT_QUEUE.into(),
        group: GROUP.into(),
        host: "höst: 1".into(),
        pid: 42,
        started_at_ms: 1_700_000_000_000,
        heartbeat_at_ms: 1_700_000_001_000,
        age_ms: 0,
        processed,
        dead: 2,
        retried: 3,
        held: 10,
        stalled: 1,
        loads: [(DEFAULT_QUEUE.into(), load())].into(),
        busy: Some(0.125),
        is_stopping: true,
        batches: 4,
        batched_documents: 5,
        stored_latency: "HISTFAAAAC94nJNpmSzMwMDAxAABzFCaEUoz2X+AMABRuQNU".into(),
    }
}

pub(crate) fn load() -> QueueLoad {
    QueueLoad {
        slots: 1_280,
        held: 10,
        per_second: 97.5,
        hold_ms: Some(12.25),
        measured_at_ms: Some(1_700_000_000_500),
    }
}

//! The ledger as a state machine, by the port's doc comments. `now_ms` is the time of the ledger's own server.
//!
//! Two mutants live here, because counting and fencing are the ledger's work: `BareIncrement` and `NoFencing`.

mod counts;
mod restore;
mod unkept;

use std::collections::BTreeMap;
use std::time::Duration;

use paceline_core::ids::RunId;
use paceline_core::job::{RANGE_JOBS_MAX, Range};
use paceline_core::mutant::{self, Mutant};
use paceline_core::pacing::Pacing;
use paceline_core::ports::leases::Fence;
use paceline_core::ports::mesh::PROTOCOL_FIRST;
use paceline_core::ports::ranges::Reservation;
use paceline_core::ports::runs::Created;
use paceline_core::ports::workers::WorkerInfo;
use paceline_core::run::{RunChange, check_advance};
use paceline_core::run::{RunRecord, RunSpec, RunState, Snapshot};
use paceline_core::{Error, Result};

pub use counts::Group;
use counts::{Window, in_window};

#[derive(Default, Clone)]
pub struct LedgerModel {
    /// In the order of their creation, so that nothing depends on the random part of an id.
    pub runs: Vec<Entry>,
    index: BTreeMap<RunId, usize>,
    requests: BTreeMap<String, RunId>,
    workers: BTreeMap<String, (WorkerInfo, i64, i64)>,
    /// Revisions of the ends that nobody has noted as kept in the sink.
    unkept: BTreeMap<RunId, u64>,
    protocol: Option<u32>,
}

/// A run and everything that belongs to it.
#[derive(Clone)]
pub struct Entry {
    pub record: RunRecord,
    /// Empty: nobody.
    owner: String,
    pub epoch: u64,
    lease_until_ms: i64,
    pub published: u64,
    pub outstanding: BTreeMap<u64, Range>,
    pub groups: BTreeMap<String, Group>,
    producers: BTreeMap<String, u64>,
    enqueued: Window,
}

impl LedgerModel {
    pub fn protocol(&self, now_ms: i64) -> Option<u32> {
        let is_in_use = !self.runs.is_empty() || !self.workers(now_ms).is_empty();
        self.protocol.or(is_in_use.then_some(PROTOCOL_FIRST))
    }

    pub fn adopt_protocol(&mut self, found: Option<u32>, mine: u32, now_ms: i64) -> u32 {
        if let Some(has) = self.protocol(now_ms).filter(|has| Some(*has) != found && *has != mine) {
            return has;
        }
        self.protocol = Some(mine);
        mine
    }

    /// The run's number, by which traces call it.
    pub fn number(&self, run: &RunId) -> Option<usize> {
        self.index.get(run).copied()
    }

    pub fn entry(&self, run: &RunId) -> Option<&Entry> {
        self.number(run).map(|number| &self.runs[number])
    }

    fn known(&mut self, run: &RunId) -> Result<&mut Entry> {
        let number = self.number(run).ok_or_else(|| unknown(run))?;
        Ok(&mut self.runs[number])
    }

    fn fenced(&mut self, run: &RunId, fence: Fence) -> Result<&mut Entry> {
        let entry = self.known(run)?;
        let is_owners = entry.epoch == fence.epoch && !entry.owner.is_empty();
        if is_owners || mutant::is_active(Mutant::NoFencing) {
            return Ok(entry);
        }
        let (lost, found) = (fence.epoch, entry.epoch);
        Err(Error::aborted(format!("run {run}: the lease of epoch {lost} is lost, it is at epoch {found}")))
    }

    fn insert(&mut self, record: RunRecord, published: u64) {
        self.index.insert(record.spec.run_id.clone(), self.runs.len());
        self.runs.push(Entry {
            record,
            owner: String::new(),
            epoch: 0,
            lease_until_ms: 0,
            published,
            outstanding: BTreeMap::new(),
            groups: BTreeMap::new(),
            producers: BTreeMap::new(),
            enqueued: Window::default(),
        });
    }

    pub fn create_run(&mut self, spec: &RunSpec, request_id: &str) -> Created {
        if !request_id.is_empty() {
            if let Some(run) = self.requests.get(request_id) {
                return Created::Existing(run.clone());
            }
            self.requests.insert(request_id.to_owned(), spec.run_id.clone());
        }
        if self.number(&spec.run_id).is_none() {
            let record = RunRecord {
                spec: spec.clone(),
                state: RunState::Running,
                revision: 0,
                cursor: 0,
                pacing: Pacing::default(),
                ended_at_ms: None,
                failure: None,
            };
            self.insert(record, 0);
        }
        Created::New
    }

    pub fn run(&self, run: &RunId) -> Option<RunRecord> {
        self.entry(run).map(|entry| entry.record.clone())
    }

    pub fn run_ids(&self, before: Option<&RunId>, limit: usize) -> Vec<RunId> {
        let older = self.index.keys().rev().filter(|run| before.is_none_or(|before| *run < before));
        older.take(limit).cloned().collect()
    }

    pub fn active_run_ids(&self) -> Vec<RunId> {
        let active = self.runs.iter().filter(|entry| !entry.record.state.is_terminal());
        active.map(|entry| entry.record.spec.run_id.clone()).collect()
    }

    pub fn change_run(&mut self, now_ms: i64, run: &RunId, change: &RunChange) -> Result<RunRecord> {
        let entry = self.known(run)?;
        if !change.check(&entry.record)? {
            return Ok(entry.record.clone());
        }
        entry.record.spec = change.spec.clone();
        Ok(self.step(now_ms, run, change.state, None))
    }

    pub fn lease(&mut self, now_ms: i64, run: &RunId, owner: &str, ttl: Duration) -> Result<Option<Fence>> {
        let entry = self.known(run)?;
        let is_good = !entry.owner.is_empty() && now_ms < entry.lease_until_ms;
        if is_good && entry.owner != owner {
            return Ok(None);
        }
        if !is_good {
            entry.epoch = u64::try_from(now_ms).unwrap_or(0).max(entry.epoch + 1);
        }
        entry.owner = owner.to_owned();
        entry.lease_until_ms = after(now_ms, ttl);
        Ok(Some(Fence { epoch: entry.epoch }))
    }

    pub fn release(&mut self, run: &RunId, fence: Fence) {
        if let Ok(entry) = self.known(run)
            && entry.epoch == fence.epoch
        {
            entry.owner.clear();
            entry.lease_until_ms = 0;
        }
    }

    pub fn keep(
        &mut self,
        now_ms: i64,
        run: &RunId,
        fence: Fence,
        ttl: Duration,
        pacing: &Pacing,
    ) -> Result<RunRecord> {
        let entry = self.fenced(run, fence)?;
        entry.lease_until_ms = after(now_ms, ttl);
        entry.record.pacing = *pacing;
        Ok(entry.record.clone())
    }

    pub fn reserve(&mut self, now_ms: i64, run: &RunId, fence: Fence, asked: &Reservation) -> Result<Range> {
        if asked.count > RANGE_JOBS_MAX {
            return Err(Error::invalid_field("count", format!("{} jobs are more than {RANGE_JOBS_MAX}", asked.count)));
        }
        let entry = self.fenced(run, fence)?;
        let record = &mut entry.record;
        if record.revision != asked.revision {
            let (found, asked) = (record.revision, asked.revision);
            return Err(Error::aborted(format!("run {run}: it is at revision {found}, not {asked}; read it again")));
        }
        if record.state != RunState::Running {
            return Err(Error::failed_precondition(format!("run {run}: it is {} and reserves no more", record.state)));
        }
        let left = record.spec.total.map_or(u64::MAX, |total| total.saturating_sub(record.cursor));
        let range =
            Range { first: record.cursor, count: asked.count.min(left), scheduled_at_ms: asked.scheduled_at_ms };
        record.cursor = range.end();
        record.pacing = asked.pacing;
        if range.count > 0 {
            entry.outstanding.insert(range.first, range);
            entry.enqueued.add(now_ms, range.count);
        }
        Ok(range)
    }

    pub fn confirm(&mut self, run: &RunId, fence: Fence, range: &Range, producer: &str) -> Result<()> {
        let entry = self.fenced(run, fence)?;
        if entry.outstanding.get(&range.first).is_some_and(|found| found.count == range.count) {
            entry.outstanding.remove(&range.first);
            entry.published += range.count;
            *entry.producers.entry(producer.to_owned()).or_default() += range.count;
        }
        Ok(())
    }

    pub fn outstanding(&self, run: &RunId) -> Vec<Range> {
        self.entry(run).map_or_else(Vec::new, |entry| entry.outstanding.values().copied().collect())
    }

    pub fn advance_state(
        &mut self,
        now_ms: i64,
        run: &RunId,
        fence: Fence,
        next: RunState,
        failure: Option<&str>,
    ) -> Result<RunRecord> {
        let entry = self.fenced(run, fence)?;
        if !check_advance(&entry.record, next, entry.is_drained())? {
            return Ok(entry.record.clone());
        }
        Ok(self.step(now_ms, run, next, failure))
    }

    /// Every change of a run is a new revision.
    fn step(&mut self, now_ms: i64, run: &RunId, next: RunState, failure: Option<&str>) -> RunRecord {
        let record = &mut self.runs[self.index[run]].record;
        record.pacing = record.pacing_on_step(next).unwrap_or(record.pacing);
        record.state = next;
        record.revision += 1;
        record.ended_at_ms = next.is_terminal().then_some(now_ms);
        record.failure = failure.map(str::to_owned);
        let record = record.clone();
        self.update_unkept(&record);
        record
    }

    pub fn snapshot(&self, now_ms: i64, run: &RunId, group: &str) -> Option<Snapshot> {
        let entry = self.entry(run)?;
        let nothing = Group::default();
        let counted = entry.groups.get(group).unwrap_or(&nothing);
        Some(Snapshot {
            record: entry.record.clone(),
            enqueued: entry.record.cursor,
            published: entry.published,
            processed: counted.processed,
            dead: counted.dead_count,
            duplicates: counted.duplicates,
            ranges_outstanding: entry.outstanding.len() as u64,
            enqueued_in_window: in_window(&entry.enqueued, now_ms),
            processed_in_window: in_window(&counted.window, now_ms),
            workers: counted.workers.clone(),
            producers: entry.producers.clone(),
            read_at_ms: now_ms,
        })
    }

    pub fn heartbeat(&mut self, now_ms: i64, worker: &WorkerInfo, ttl: Duration) {
        self.workers.retain(|_, (_, _, until_ms)| *until_ms > now_ms);
        self.workers.insert(worker.worker_id.clone(), (worker.clone(), now_ms, after(now_ms, ttl)));
    }

    pub fn forget_worker(&mut self, worker_id: &str) {
        self.workers.remove(worker_id);
    }

    pub fn workers(&self, now_ms: i64) -> Vec<WorkerInfo> {
        let alive = self.workers.values().filter(|(_, _, until_ms)| *until_ms > now_ms);
        alive.map(|(worker, told_at_ms, _)| worker.clone().read_at(Some(*told_at_ms), now_ms)).collect()
    }
}

impl Entry {
    /// Everything reserved is published, and everything published has ended in each of the run's groups.
    fn is_drained(&self) -> bool {
        let has_ended = |group| {
            let counted = self.groups.get(group).map_or(0, |counted| counted.processed + counted.dead_count);
            counted >= self.record.cursor
        };
        self.outstanding.is_empty() && self.record.spec.groups.iter().all(has_ended)
    }
}

fn after(now_ms: i64, ttl: Duration) -> i64 {
    now_ms.saturating_add(i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX))
}

fn unknown(run: &RunId) -> Error {
    Error::not_found(format!("run {run} is not in the ledger"))
}

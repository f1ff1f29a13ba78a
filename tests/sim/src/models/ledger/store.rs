//! The ledger's state and what every port does to it: finding a run, checking a fence, and the step to a new revision.

use std::collections::BTreeMap;
use std::time::Duration;

use paceline_core::ids::RunId;
use paceline_core::job::Range;
use paceline_core::ports::leases::Fence;
use paceline_core::ports::workers::WorkerInfo;
use paceline_core::run::{RunRecord, RunState};
use paceline_core::{Error, Result};

use crate::mutant::{self, Mutant};

use super::group::{Group, Window};

#[derive(Default, Clone)]
pub struct LedgerModel {
    /// In the order of their creation, so that nothing depends on the random part of an id.
    pub runs: Vec<Entry>,
    pub(super) index: BTreeMap<RunId, usize>,
    pub(super) requests: BTreeMap<String, RunId>,
    pub(super) workers: BTreeMap<String, (WorkerInfo, i64, i64)>,
    /// Revisions of the ends that nobody has noted as kept in the sink.
    pub(super) unkept: BTreeMap<RunId, u64>,
    pub(super) protocol: Option<u32>,
}

/// A run and everything that belongs to it.
#[derive(Clone)]
pub struct Entry {
    pub record: RunRecord,
    /// Empty: nobody.
    pub(super) owner: String,
    pub epoch: u64,
    pub(super) lease_until_ms: i64,
    pub published: u64,
    pub outstanding: BTreeMap<u64, Range>,
    pub groups: BTreeMap<String, Group>,
    pub(super) producers: BTreeMap<String, u64>,
    pub(super) enqueued: Window,
}

impl LedgerModel {
    /// The run's number, by which traces call it.
    pub fn number(&self, run: &RunId) -> Option<usize> {
        self.index.get(run).copied()
    }

    pub fn entry(&self, run: &RunId) -> Option<&Entry> {
        self.number(run).map(|number| &self.runs[number])
    }

    pub(super) fn known(&mut self, run: &RunId) -> Result<&mut Entry> {
        let number = self.number(run).ok_or_else(|| unknown(run))?;
        Ok(&mut self.runs[number])
    }

    pub(super) fn fenced(&mut self, run: &RunId, fence: Fence) -> Result<&mut Entry> {
        let entry = self.known(run)?;
        let is_owners = entry.epoch == fence.epoch && !entry.owner.is_empty();
        if is_owners || mutant::is_active(Mutant::NoFencing) {
            return Ok(entry);
        }
        let (lost, found) = (fence.epoch, entry.epoch);
        Err(Error::aborted(format!("run {run}: the lease of epoch {lost} is lost, it is at epoch {found}")))
    }

    pub(super) fn insert(&mut self, record: RunRecord, published: u64) {
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

    /// Every change of a run is a new revision.
    pub(super) fn step(&mut self, now_ms: i64, run: &RunId, next: RunState, failure: Option<&str>) -> RunRecord {
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
}

impl Entry {
    /// Everything reserved is published, and everything published has ended in each of the run's groups.
    pub(super) fn is_drained(&self) -> bool {
        let has_ended = |group| {
            let counted = self.groups.get(group).map_or(0, |counted| counted.processed + counted.dead_count);
            counted >= self.record.cursor
        };
        self.outstanding.is_empty() && self.record.spec.groups.iter().all(has_ended)
    }
}

pub(super) fn after(now_ms: i64, ttl: Duration) -> i64 {
    now_ms.saturating_add(i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX))
}

pub(super) fn unknown(run: &RunId) -> Error {
    Error::not_found(format!("run {run} is not in the ledger"))
}

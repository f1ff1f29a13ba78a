//! The oracle and a ledger that goes back in time: its books of what the ledger says go back too, those of what happened do not.

use std::collections::BTreeMap;

use paceline_core::ids::RunId;
use paceline_core::ports::counts::EndedJob;
use paceline_core::ports::leases::Fence;
use paceline_core::run::RunRecord;

use super::broken::Broken;
use super::once::Once;
use super::oracle::Laws;
use super::ownership::Ownership;
use crate::models::LedgerModel;

impl Laws {
    /// L9: an epoch belongs to one owner for ever, also if the ledger does not remember that it gave it away.
    pub fn granted(&mut self, run: &RunId, fence: Fence, owner: &str) -> Result<(), Broken> {
        let epochs = &mut self.of(run).once.epochs;
        let first = epochs.entry(fence.epoch).or_insert_with(|| owner.to_owned());
        if first == owner {
            return Ok(());
        }
        Err(("L9", format!("{owner} gets epoch {}, which {first} had", fence.epoch)))
    }

    pub fn recorded(&mut self, ended: &[EndedJob]) {
        if !self.may_rewind {
            return;
        }
        for job in ended {
            self.of(&job.run).once.recorded.insert(job.seq);
        }
    }

    /// True if the job was brought to the ledger and the ledger may have forgotten it since.
    pub fn was_recorded(&self, run: &RunId, seq: u64) -> bool {
        self.rewinds > 0 && self.runs.get(run).is_some_and(|books| books.once.recorded.contains(seq))
    }

    /// The books that go back with the ledger.
    pub fn ownerships(&self) -> BTreeMap<RunId, Ownership> {
        self.runs.iter().map(|(run, books)| (run.clone(), books.ownership.clone())).collect()
    }

    /// The ledger is `past` again, and so are the books of who owns what; `before` is what it was until now.
    pub fn went_back(
        &mut self,
        now_us: u64,
        before: &LedgerModel,
        past: &LedgerModel,
        ownerships: &BTreeMap<RunId, Ownership>,
    ) {
        self.rewinds += 1;
        let span_ms = self.clock_span_ms();
        for (run, books) in &mut self.runs {
            let was_there = before.entry(run).is_some();
            match past.entry(run) {
                Some(entry) => books.pace.iter_mut().for_each(|pace| pace.went_back(now_us, &entry.record, span_ms)),
                None if was_there => books.once.forgotten_by = Some(books.ownership.at_work()),
                None => (),
            }
            books.ownership = ownerships.get(run).cloned().unwrap_or_default();
        }
    }

    /// Somebody brought the run up to what it knew.
    pub fn restored(&mut self, now_us: u64, run: &RunRecord) {
        let span_ms = self.clock_span_ms();
        let books = self.of(&run.spec.run_id);
        books.pace.iter_mut().for_each(|pace| pace.went_back(now_us, run, span_ms));
    }

    pub fn once(&self, run: &RunId) -> Option<&Once> {
        self.runs.get(run).map(|books| &books.once)
    }
}

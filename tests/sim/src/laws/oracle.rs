//! The oracle: it sees every effect on the services and says which law one of them breaks. It keeps its own books, so that a
//! model that is broken on purpose cannot vouch for itself.

use std::collections::BTreeMap;

use paceline_core::ids::RunId;
use paceline_core::job::Range;
use paceline_core::seqset::SeqSet;

use super::broken::Broken;
use super::once::Once;
use super::ownership::Ownership;
use super::pace::Pace;
use crate::models::LedgerModel;

pub struct Laws {
    pub are_on: bool,
    /// No fault will come: the pace has to be exact.
    pub is_calm: bool,
    pub(super) runs: BTreeMap<RunId, Books>,
    /// The lowest and the highest setting that any wall clock had, against true time.
    clocks_ms: (i64, i64),
    /// The ledger will go back in time, or did.
    pub may_rewind: bool,
    /// The number of times that the ledger went back.
    pub rewinds: u64,
}

/// The oracle's books of one run.
#[derive(Default)]
pub struct Books {
    pub pace: Option<Pace>,
    pub ownership: Ownership,
    /// Jobs that the broker has had, durably.
    pub in_broker: SeqSet,
    /// Kept only where the ledger may go back in time: what it once knew.
    pub once: Once,
}

impl Laws {
    pub fn new(are_on: bool) -> Self {
        Self { are_on, is_calm: false, runs: BTreeMap::new(), clocks_ms: (0, 0), may_rewind: false, rewinds: 0 }
    }

    pub fn of(&mut self, run: &RunId) -> &mut Books {
        self.runs.entry(run.clone()).or_default()
    }

    /// A wall clock was set.
    pub fn clock_set(&mut self, offset_ms: i64) {
        let (low, high) = self.clocks_ms;
        self.clocks_ms = (low.min(offset_ms), high.max(offset_ms));
    }

    pub fn clock_span_ms(&self) -> i64 {
        self.clocks_ms.1 - self.clocks_ms.0
    }

    /// L1, after every step: nothing is counted that is not enqueued, and the counters are those of the bitmaps.
    pub fn look(&mut self, now_us: u64, ledger: &LedgerModel) -> Result<(), Broken> {
        for (number, entry) in ledger.runs.iter().enumerate() {
            let cursor = entry.record.cursor;
            if self.may_rewind {
                let once = &mut self.of(&entry.record.spec.run_id).once;
                once.cursor = once.cursor.max(cursor);
            }
            // A restored total may be below what was reserved by then; what is reserved beyond it is seen where that happens.
            if self.rewinds == 0 && entry.record.spec.total.is_some_and(|total| cursor > total) {
                return Err(("L6", format!("run {number}: {cursor} jobs of a total of {:?}", entry.record.spec.total)));
            }
            let books = self.runs.get(&entry.record.spec.run_id).filter(|_| self.is_calm);
            if let Some(pace) = books.and_then(|books| books.pace.as_ref()) {
                pace.check_exact(now_us, &entry.record)?;
            }
            for counted in entry.groups.values() {
                let (processed, dead) = (counted.processed, counted.dead_count);
                if processed + dead > cursor {
                    return Err(("L1", format!("run {number}: {processed} processed + {dead} dead of {cursor}")));
                }
                let (in_bits, dead_in_bits) = (counted.bits.len(), counted.dead.len());
                if processed + dead != in_bits || dead != dead_in_bits {
                    let words = format!(
                        "run {number}: counters say {processed} + {dead}, bitmaps {in_bits} ({dead_in_bits} dead)"
                    );
                    return Err(("L1", words));
                }
            }
        }
        Ok(())
    }

    /// L4: what is acknowledged is stored and counted.
    pub fn acknowledged(seq: u64, is_stored: bool, is_counted: bool) -> Result<(), Broken> {
        if is_stored && is_counted {
            return Ok(());
        }
        Err(("L4", format!("job {seq} is acknowledged; stored: {is_stored}, counted: {is_counted}")))
    }

    /// L5: a range is published only if the broker has had every job of it.
    pub fn confirmed(&mut self, run: &RunId, range: &Range) -> Result<(), Broken> {
        let books = self.of(run);
        match range.seqs().find(|seq| !books.in_broker.contains(*seq)) {
            None => Ok(()),
            Some(seq) => Err((
                "L5",
                format!("range {}+{} is confirmed, and the broker never had job {seq}", range.first, range.count),
            )),
        }
    }
}

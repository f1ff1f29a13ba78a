//! Counting jobs, each once a group, and how many of them within the last seconds.

use std::collections::BTreeMap;

use paceline_core::Result;
use paceline_core::ids::RunId;
use paceline_core::mutant::{self, Mutant};
use paceline_core::ports::counts::{Recorded, Settled};
use paceline_core::run::RATE_WINDOW_S;
use paceline_core::seqset::SeqSet;

use super::{LedgerModel, unknown};

/// What a group has counted of a run.
#[derive(Default, Clone)]
pub struct Group {
    pub admitted: SeqSet,
    pub dead: SeqSet,
    pub processed: u64,
    pub dead_count: u64,
    pub duplicates: u64,
    pub workers: BTreeMap<String, u64>,
    pub(super) window: Window,
}

/// Jobs by second.
#[derive(Default, Clone)]
pub struct Window(BTreeMap<i64, u64>);

impl Window {
    pub fn add(&mut self, now_ms: i64, jobs: u64) {
        *self.0.entry(now_ms.div_euclid(1000)).or_default() += jobs;
    }
}

/// The running second is not part of it.
pub fn in_window(window: &Window, now_ms: i64) -> u64 {
    let second = now_ms.div_euclid(1000);
    window.0.range(second - RATE_WINDOW_S..second).map(|(_, jobs)| jobs).sum()
}

impl LedgerModel {
    pub fn record(&mut self, now_ms: i64, group: &str, worker: &str, settled: &[Settled]) -> Recorded {
        let mut sum = Recorded::default();
        for job in settled {
            let exists = self.entry(&job.run).is_some_and(|entry| job.seq < entry.record.cursor);
            let Some(number) = self.number(&job.run).filter(|_| exists) else {
                sum.foreign += 1;
                continue;
            };
            let counted = self.runs[number].groups.entry(group.to_owned()).or_default();
            let is_new = counted.admitted.insert(job.seq);
            if !is_new && !mutant::is_active(Mutant::BareIncrement) {
                counted.duplicates += 1;
                sum.duplicates += 1;
                continue;
            }
            sum.counted += 1;
            if job.dead {
                counted.dead.insert(job.seq);
                counted.dead_count += 1;
            } else {
                counted.processed += 1;
                *counted.workers.entry(worker.to_owned()).or_default() += 1;
                counted.window.add(now_ms, 1);
            }
        }
        sum
    }

    pub fn forget(&mut self, run: &RunId, group: &str, seqs: &[u64]) -> Result<u64> {
        let Some(counted) = self.known(run)?.groups.get_mut(group) else { return Ok(0) };
        let gone: SeqSet = seqs.iter().copied().filter(|seq| counted.admitted.contains(*seq)).collect();
        let gone_dead = gone.intersection(&counted.dead);
        counted.admitted = counted.admitted.minus(&gone);
        counted.dead = counted.dead.minus(&gone);
        counted.dead_count -= gone_dead.len();
        counted.processed -= gone.len() - gone_dead.len();
        Ok(gone.len())
    }

    pub fn admitted(&self, run: &RunId, group: &str) -> Result<SeqSet> {
        self.seqs(run, group, |counted| &counted.admitted)
    }

    pub fn dead(&self, run: &RunId, group: &str) -> Result<SeqSet> {
        self.seqs(run, group, |counted| &counted.dead)
    }

    fn seqs(&self, run: &RunId, group: &str, which: impl Fn(&Group) -> &SeqSet) -> Result<SeqSet> {
        let entry = self.entry(run).ok_or_else(|| unknown(run))?;
        Ok(entry.groups.get(group).map_or_else(SeqSet::default, |counted| which(counted).clone()))
    }
}

//! The counts port: jobs, each counted once a group, and all numbers of a run in one read.

use paceline_core::Result;
use paceline_core::ids::RunId;
use paceline_core::ports::counts::{EndedJob, Recorded};
use paceline_core::run::Snapshot;
use paceline_core::seqset::SeqSet;

use crate::mutant::{self, Mutant};

use super::group::{Group, in_window};
use super::store::{LedgerModel, unknown};

impl LedgerModel {
    pub fn record(&mut self, now_ms: i64, group: &str, worker: &str, ended: &[EndedJob]) -> Recorded {
        let mut sum = Recorded::default();
        for job in ended {
            let exists = self.entry(&job.run).is_some_and(|entry| job.seq < entry.record.cursor);
            let Some(number) = self.number(&job.run).filter(|_| exists) else {
                sum.foreign += 1;
                continue;
            };
            let counted = self.runs[number].groups.entry(group.to_owned()).or_default();
            let is_new = counted.bits.insert(job.seq);
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
        let gone: SeqSet = seqs.iter().copied().filter(|seq| counted.bits.contains(*seq)).collect();
        let gone_dead = gone.intersection(&counted.dead);
        counted.bits = counted.bits.minus(&gone);
        counted.dead = counted.dead.minus(&gone);
        counted.dead_count -= gone_dead.len();
        counted.processed -= gone.len() - gone_dead.len();
        Ok(gone.len())
    }

    pub fn counted(&self, run: &RunId, group: &str) -> Result<SeqSet> {
        self.seqs(run, group, |counted| &counted.bits)
    }

    pub fn dead(&self, run: &RunId, group: &str) -> Result<SeqSet> {
        self.seqs(run, group, |counted| &counted.dead)
    }

    fn seqs(&self, run: &RunId, group: &str, which: impl Fn(&Group) -> &SeqSet) -> Result<SeqSet> {
        let entry = self.entry(run).ok_or_else(|| unknown(run))?;
        Ok(entry.groups.get(group).map_or_else(SeqSet::default, |counted| which(counted).clone()))
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
}

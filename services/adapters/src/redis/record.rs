//! Counting: one script call a run and flush (L1, L2). The script turns bits; see `scripts/record.lua`.

use std::collections::BTreeMap;

use paceline_core::Result;
use paceline_core::ids::RunId;
use paceline_core::ports::counts::{EndedJob, Recorded};
use paceline_core::run::TOTAL_MAX;

use super::bits::{Stretch, stretches};
use super::ledger::RedisLedger;

/// The most seqs in one script call: the server does nothing else meanwhile, 8 ms if they are all far apart.
pub(super) const SCRIPT_SEQS_MAX: usize = 2_000;
/// Beyond every run's cursor (a run without a total would take 266 years at the fastest rate), and exact as a number in Lua.
pub(super) const SEQ_MAX: u64 = TOTAL_MAX << 23;

/// The ended jobs of one run, in the order they came: each job's seq, and `true` if the job is dead.
type Seqs = Vec<(u64, bool)>;

impl RedisLedger {
    pub(super) async fn record_ended(&self, group: &str, worker: &str, ended: &[EndedJob]) -> Result<Recorded> {
        let by_run = split_by_run(ended);
        // They travel together and share the server's fsync; if one fails, the caller repeats all of them.
        let mut calls = Vec::new();
        for (run, seqs) in &by_run {
            calls.extend(seqs.chunks(SCRIPT_SEQS_MAX).map(|part| self.record_part(group, worker, run, part)));
        }
        let mut sum = Recorded::default();
        for recorded in futures::future::try_join_all(calls).await? {
            sum.counted += recorded.counted;
            sum.duplicates += recorded.duplicates;
            sum.foreign += recorded.foreign;
        }
        Ok(sum)
    }

    async fn record_part(&self, group: &str, worker: &str, run: &RunId, part: &[(u64, bool)]) -> Result<Recorded> {
        let RecordArguments { seqs, again, beyond } = RecordArguments::of(part);
        let stretches = stretches(&seqs);
        let mut record = self.scripts.record.prepare_invoke();
        record.key(self.keys.run(run)).key(self.keys.group(run, group)).key(self.keys.workers(run, group));
        record.arg(worker).arg(seqs.len()).arg(again.iter().map(u64::to_string).collect::<Vec<_>>().join(","));
        for (index, of_one_chunk) in stretches.chunk_by(|a, b| a.chunk == b.chunk).enumerate() {
            let chunk = of_one_chunk[0].chunk;
            record.key(self.keys.done(run, group, chunk)).key(self.keys.dead(run, group, chunk));
            for stretch in of_one_chunk {
                let Stretch { first_byte, mask, dead, .. } = stretch;
                record.arg(FIRST_CHUNK_KEY + 2 * index).arg(stretch.first_seq()).arg(*first_byte);
                record.arg(mask.as_slice()).arg(dead.as_slice());
            }
        }
        let (counted, duplicates, foreign): (u64, u64, u64) =
            self.connection.script(&format!("run {run}"), &record).await?;
        Ok(Recorded { counted, duplicates, foreign: foreign + beyond })
    }
}

/// Where the chunks begin among the script's KEYS, which are counted from 1: counted and dead of each chunk in turn.
const FIRST_CHUNK_KEY: usize = 4;

/// The arguments of the script.
struct RecordArguments {
    /// The counted seqs, sorted, each once. A seq that came twice has the end that came first.
    seqs: Seqs,
    /// Seqs that were in the call already, once for each repetition.
    again: Vec<u64>,
    /// The number of seqs that no run can have.
    beyond: u64,
}

impl RecordArguments {
    fn of(part: &[(u64, bool)]) -> Self {
        let mut seqs: Seqs = part.iter().copied().filter(|(seq, _)| *seq < SEQ_MAX).collect();
        let beyond = (part.len() - seqs.len()) as u64;
        // Stable, so of two with the same seq the one that came first stays.
        seqs.sort_by_key(|(seq, _)| *seq);
        let mut again = Vec::new();
        seqs.dedup_by(|later, first| {
            let is_same = later.0 == first.0;
            if is_same {
                again.push(later.0);
            }
            is_same
        });
        Self { seqs, again, beyond }
    }
}

fn split_by_run(ended: &[EndedJob]) -> BTreeMap<&RunId, Seqs> {
    let mut by_run: BTreeMap<&RunId, Seqs> = BTreeMap::new();
    for of_one_run in ended.chunk_by(|a, b| a.run == b.run) {
        by_run.entry(&of_one_run[0].run).or_default().extend(of_one_run.iter().map(|job| (job.seq, job.dead)));
    }
    by_run
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_keeps_what_came_first_and_says_what_came_again() {
        let batch = RecordArguments::of(&[(7, true), (3, false), (7, false), (u64::MAX, false), (3, true), (3, false)]);
        assert_eq!((batch.seqs, batch.again, batch.beyond), (vec![(3, false), (7, true)], vec![3, 3, 7], 1));
    }

    #[test]
    fn jobs_of_several_runs_are_put_together() {
        let (a, b) = (RunId::generate(1), RunId::generate(2));
        let job = |run: &RunId, seq| EndedJob { run: run.clone(), seq, dead: false };
        let ended = [job(&b, 1), job(&a, 2), job(&a, 3), job(&b, 4)];
        let split = split_by_run(&ended);
        assert_eq!(split[&a], [(2, false), (3, false)]);
        assert_eq!(split[&b], [(1, false), (4, false)]);
    }
}

//! Counting: each job once per group, by a bitmap in chunks (L1, L2). A chunk is read and written once a flush, however many of
//! its jobs are in it.

use std::collections::BTreeMap;

use paceline_core::Result;
use paceline_core::ids::RunId;
use paceline_core::ports::counts::{EndedJob, Recorded};
use rusqlite::{Connection, params};

use super::bitmaps::{Bits, CHUNK_SEQS, cursor, load, set, store};
use super::schema::signed;
use super::windows::count_in_window;
use crate::embedded::database::WriteError;

/// Per run its seqs in ascending order, each with whether it is dead; of two with the same seq the first one came first.
pub(super) type ByRun = BTreeMap<RunId, Vec<(u64, bool)>>;

pub(super) fn split_by_run(ended: &[EndedJob]) -> ByRun {
    let mut by_run = ByRun::new();
    for of_one_run in ended.chunk_by(|a, b| a.run == b.run) {
        let seqs = of_one_run.iter().map(|job| (job.seq, job.dead));
        by_run.entry(of_one_run[0].run.clone()).or_default().extend(seqs);
    }
    by_run.values_mut().for_each(|seqs| seqs.sort_by_key(|(seq, _)| *seq));
    by_run
}

pub(super) fn record(
    c: &Connection,
    group: &str,
    worker: &str,
    by_run: &ByRun,
    now_ms: i64,
) -> Result<Recorded, WriteError> {
    let mut sum = Recorded::default();
    for (run, seqs) in by_run {
        let cursor = cursor(c, run)?.unwrap_or(0);
        let existing = seqs.partition_point(|(seq, _)| *seq < cursor);
        let (mut counted, mut died) = (0, 0);
        for of_one_chunk in seqs[..existing].chunk_by(|a, b| a.0 / CHUNK_SEQS == b.0 / CHUNK_SEQS) {
            let (new, new_dead) = count_chunk(c, run, group, of_one_chunk)?;
            counted += new;
            died += new_dead;
        }
        let duplicates = existing as u64 - counted;
        count(c, run, group, [counted - died, died, duplicates])?;
        if counted > died {
            count_worker(c, run, group, worker, counted - died)?;
            count_in_window(c, run, group, now_ms, counted - died)?;
        }
        sum.counted += counted;
        sum.duplicates += duplicates;
        sum.foreign += (seqs.len() - existing) as u64;
    }
    Ok(sum)
}

/// Sets the bits of one chunk; answers how many are new, and how many of those are dead.
fn count_chunk(c: &Connection, run: &RunId, group: &str, seqs: &[(u64, bool)]) -> Result<(u64, u64), WriteError> {
    let chunk = seqs[0].0 / CHUNK_SEQS;
    let mut bits = load(c, run, group, Bits::Counted, chunk)?;
    let mut new_dead = Vec::new();
    let mut counted = 0;
    for (seq, is_dead) in seqs {
        if set(&mut bits, *seq) {
            counted += 1;
            new_dead.extend(is_dead.then_some(*seq));
        }
    }
    if counted > 0 {
        store(c, run, group, Bits::Counted, chunk, &bits)?;
    }
    if !new_dead.is_empty() {
        let mut dead = load(c, run, group, Bits::Dead, chunk)?;
        new_dead.iter().for_each(|seq| {
            set(&mut dead, *seq);
        });
        store(c, run, group, Bits::Dead, chunk, &dead)?;
    }
    Ok((counted, new_dead.len() as u64))
}

/// Adds processed, dead and duplicates.
fn count(c: &Connection, run: &RunId, group: &str, by: [u64; 3]) -> Result<(), WriteError> {
    if by == [0; 3] {
        return Ok(());
    }
    let [processed, dead, duplicates] = by.map(signed);
    let upsert = "INSERT INTO counts VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO UPDATE SET
                  processed = processed + excluded.processed, dead = dead + excluded.dead, duplicates = duplicates + excluded.duplicates";
    c.prepare_cached(upsert)?.execute(params![run.as_str(), group, processed, dead, duplicates])?;
    Ok(())
}

fn count_worker(c: &Connection, run: &RunId, group: &str, worker: &str, processed: u64) -> Result<(), WriteError> {
    let upsert = "INSERT INTO worker_counts VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE SET processed = processed + excluded.processed";
    c.prepare_cached(upsert)?.execute(params![run.as_str(), group, worker, signed(processed)])?;
    Ok(())
}

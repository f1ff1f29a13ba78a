//! The ranges port: jobs that are made, and ranges that are confirmed.

use paceline_core::ids::RunId;
use paceline_core::job::{RANGE_JOBS_MAX, Range};
use paceline_core::ports::leases::Fence;
use paceline_core::ports::ranges::Reservation;
use paceline_core::run::RunState;
use paceline_core::{Error, Result};

use super::store::LedgerModel;

impl LedgerModel {
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
}

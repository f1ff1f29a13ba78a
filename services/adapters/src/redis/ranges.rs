//! The ranges port: reserved, so durable, then confirmed by the broker. A range between the two is dispatched again after a takeover.

use async_trait::async_trait;
use paceline_core::error::codes;
use paceline_core::ids::RunId;
use paceline_core::job::{RANGE_JOBS_MAX, Range};
use paceline_core::ports::Ranges;
use paceline_core::ports::leases::Fence;
use paceline_core::ports::ranges::Reservation;
use paceline_core::{Error, Result};
use redis::cmd;

use super::fields::{Fields, to_json, unreadable};
use super::ledger::RedisLedger;

#[async_trait]
impl Ranges for RedisLedger {
    async fn reserve(&self, run: &RunId, fence: Fence, reservation: &Reservation) -> Result<Range> {
        let Reservation { count, scheduled_at_ms, .. } = *reservation;
        if count > RANGE_JOBS_MAX {
            return Err(Error::invalid_field(
                "count",
                format!("{count} jobs are more than a range may have, {RANGE_JOBS_MAX}"),
            )
            .coded(codes::RANGE_INVALID));
        }
        let mut reserve = self.scripts.reserve.prepare_invoke();
        reserve.key(self.keys.run(run)).key(self.keys.outstanding(run));
        reserve
            .arg(fence.epoch)
            .arg(reservation.revision)
            .arg(count)
            .arg(scheduled_at_ms)
            .arg(to_json(&reservation.pacing)?);
        let (first, count): (u64, u64) = self.connection.script(&format!("run {run}"), &reserve).await?;
        Ok(Range { first, count, scheduled_at_ms })
    }

    async fn confirm(&self, run: &RunId, fence: Fence, range: &Range, producer: &str) -> Result<()> {
        let mut confirm = self.scripts.confirm.prepare_invoke();
        confirm.key(self.keys.run(run)).key(self.keys.outstanding(run)).key(self.keys.producers(run));
        confirm.arg(fence.epoch).arg(range.first).arg(range.count).arg(producer);
        self.connection.script(&format!("run {run}"), &confirm).await
    }

    async fn outstanding(&self, run: &RunId) -> Result<Vec<Range>> {
        let fields: Fields = self.connection.command(cmd("HGETALL").arg(self.keys.outstanding(run))).await?;
        let mut ranges = fields.iter().map(|(first, rest)| parse_range(first, rest)).collect::<Result<Vec<_>>>()?;
        ranges.sort();
        Ok(ranges)
    }
}

/// `first` → `count:scheduled_at_ms`, as reserve.lua wrote it.
fn parse_range(first: &str, rest: &str) -> Result<Range> {
    let parse = || {
        let (count, scheduled_at_ms) = rest.split_once(':')?;
        Some(Range {
            first: first.parse().ok()?,
            count: count.parse().ok()?,
            scheduled_at_ms: scheduled_at_ms.parse().ok()?,
        })
    };
    parse().ok_or_else(|| unreadable("outstanding range", rest))
}

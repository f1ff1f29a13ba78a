//! The snapshot: all numbers of a run, read by one script, so processed + dead ≤ enqueued in every one (L1).

use std::collections::BTreeMap;

use paceline_core::error::codes;
use paceline_core::ids::RunId;
use paceline_core::run::{RATE_WINDOW_S, Snapshot};
use paceline_core::{Error, Result};
use redis::FromRedisValue;

use super::fields::{Fields, number, parse_record, unreadable};
use super::ledger::RedisLedger;

/// The answer of snapshot.lua, in its order.
type Answer = (Fields, u64, BTreeMap<String, u64>, Fields, BTreeMap<String, u64>, (i64, i64));

/// The numbers as they were stored.
struct Numbers {
    run: Fields,
    ranges_outstanding: u64,
    producers: BTreeMap<String, u64>,
    group: Fields,
    workers: BTreeMap<String, u64>,
    /// The server's time: seconds, and microseconds within.
    read_at: (i64, i64),
}

impl RedisLedger {
    pub(super) async fn read_snapshot(&self, run: &RunId, group: &str) -> Result<Option<Snapshot>> {
        self.read_numbers(run, group).await?.map(Numbers::into_snapshot).transpose()
    }

    /// `None` for an unknown run.
    async fn read_numbers(&self, run: &RunId, group: &str) -> Result<Option<Numbers>> {
        let mut snapshot = self.scripts.snapshot.prepare_invoke();
        snapshot.key(self.keys.run(run)).key(self.keys.outstanding(run)).key(self.keys.producers(run));
        snapshot.key(self.keys.group(run, group)).key(self.keys.workers(run, group));
        let value: redis::Value = self.connection.script(&format!("run {run}"), &snapshot).await?;
        let answer = Answer::from_redis_value(value)
            .map_err(|e| Error::internal(format!("snapshot of run {run}: {e}")).coded(codes::LEDGER_DATA_UNREADABLE))?;
        let (run, ranges_outstanding, producers, group, workers, read_at) = answer;
        let numbers = Numbers { run, ranges_outstanding, producers, group, workers, read_at };
        Ok((!numbers.run.is_empty()).then_some(numbers))
    }
}

impl Numbers {
    fn into_snapshot(self) -> Result<Snapshot> {
        let record = parse_record(&self.run)?;
        let (second, micros) = self.read_at;
        Ok(Snapshot {
            enqueued: record.cursor,
            published: number(&self.run, "published")?,
            processed: number(&self.group, "processed")?,
            dead: number(&self.group, "dead")?,
            duplicates: number(&self.group, "duplicates")?,
            ranges_outstanding: self.ranges_outstanding,
            enqueued_in_window: in_window(&self.run, second)?,
            processed_in_window: in_window(&self.group, second)?,
            workers: self.workers,
            producers: self.producers,
            read_at_ms: second * 1000 + micros / 1000,
            record,
        })
    }
}

/// The sum over the slots of the last whole seconds; each slot says which second it is of, `second:count`.
fn in_window(fields: &Fields, now_s: i64) -> Result<u64> {
    let window = now_s - RATE_WINDOW_S..now_s;
    let mut sum = 0;
    for (name, slot) in fields.iter().filter(|(name, _)| name.starts_with("window:")) {
        let parsed = slot
            .split_once(':')
            .and_then(|(second, count)| Some((second.parse::<i64>().ok()?, count.parse::<u64>().ok()?)));
        let (second, count) = parsed.ok_or_else(|| unreadable(name, slot))?;
        sum += if window.contains(&second) { count } else { 0 };
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_is_the_last_ten_whole_seconds() {
        let slots = [
            ("window:0", "90:1"),
            ("window:1", "91:20"),
            ("window:9", "99:300"),
            ("window:10", "100:4000"),
            ("cursor", "9"),
        ];
        let fields: Fields = slots.map(|(name, slot)| (name.to_owned(), slot.to_owned())).into();
        assert_eq!(
            in_window(&fields, 100).unwrap(),
            321,
            "second 90 is in the window of 90 to 99, second 100 still runs"
        );
        assert_eq!(in_window(&fields, 101).unwrap(), 4320, "and second 90 has left it");
    }
}

//! The ranges port: reserved, so durable, then confirmed by the broker. A range between the two is dispatched again after a takeover.

use async_trait::async_trait;
use paceline_core::error::codes;
use paceline_core::ids::RunId;
use paceline_core::job::{RANGE_JOBS_MAX, Range};
use paceline_core::ports::Ranges;
use paceline_core::ports::leases::Fence;
use paceline_core::ports::ranges::Reservation;
use paceline_core::run::RunState;
use paceline_core::{Error, Result};
use rusqlite::{Connection, Row, params};

use super::schema::{signed, to_json, unsigned};
use super::windows::{ENQUEUED, count_in_window};
use super::{EmbeddedLedger, leases};
use crate::embedded::database::WriteError;

#[async_trait]
impl Ranges for EmbeddedLedger {
    async fn reserve(&self, run: &RunId, fence: Fence, reservation: &Reservation) -> Result<Range> {
        let (run, reservation, clock) = (run.clone(), reservation.clone(), self.clock.clone());
        self.database.write(move |c| reserve(c, &run, fence, &reservation, clock.wall_ms())).await
    }

    async fn confirm(&self, run: &RunId, fence: Fence, range: &Range, producer: &str) -> Result<()> {
        let (run, range, producer) = (run.clone(), *range, producer.to_owned());
        self.database.write(move |c| confirm(c, &run, fence, &range, &producer)).await
    }

    async fn outstanding(&self, run: &RunId) -> Result<Vec<Range>> {
        let run = run.clone();
        self.database.read(move |c| outstanding(c, &run)).await
    }
}

fn reserve(
    c: &Connection,
    run: &RunId,
    fence: Fence,
    reservation: &Reservation,
    now_ms: i64,
) -> Result<Range, WriteError> {
    let Reservation { count, scheduled_at_ms, pacing, revision } = reservation;
    if *count > RANGE_JOBS_MAX {
        return Err(Error::invalid_field(
            "count",
            format!("{count} jobs are more than a range may have, {RANGE_JOBS_MAX}"),
        )
        .coded(codes::RANGE_INVALID)
        .into());
    }
    leases::check(c, run, fence)?;
    let (first, left) = next(c, run, *revision)?;
    let range = Range { first, count: left.map_or(*count, |left| left.min(*count)), scheduled_at_ms: *scheduled_at_ms };
    let update = "UPDATE runs SET cursor = ?2, pacing = ?3 WHERE run_id = ?1";
    c.prepare_cached(update)?.execute(params![run.as_str(), signed(range.end()), to_json(pacing)?])?;
    if range.count > 0 {
        let insert = "INSERT INTO outstanding VALUES (?1, ?2, ?3, ?4)";
        c.prepare_cached(insert)?.execute(params![
            run.as_str(),
            signed(first),
            signed(range.count),
            scheduled_at_ms
        ])?;
        count_in_window(c, run, ENQUEUED, now_ms, range.count)?;
    }
    Ok(range)
}

/// The next seq, and how many jobs are left until the total; refuses a stale revision and a run that reserves no more.
fn next(c: &Connection, run: &RunId, revision: u64) -> Result<(u64, Option<u64>), WriteError> {
    let mut query = c.prepare_cached("SELECT revision, state, cursor, total FROM runs WHERE run_id = ?1")?;
    let (current, state, cursor, total) = query.query_row([run.as_str()], |row| {
        let total = row.get::<_, Option<i64>>(3)?.map(|_| unsigned(row, 3)).transpose()?;
        Ok((unsigned(row, 0)?, row.get::<_, String>(1)?, unsigned(row, 2)?, total))
    })?;
    if current != revision {
        return Err(Error::aborted(format!("run {run}: it is at revision {current}, not {revision}; read it again"))
            .coded(codes::RUN_CHANGED_MEANWHILE)
            .into());
    }
    if state != RunState::Running.name() {
        return Err(Error::failed_precondition(format!("run {run}: it is {state} and reserves no more jobs"))
            .coded(codes::RUN_STATE_FORBIDS)
            .into());
    }
    Ok((cursor, total.map(|total| total.saturating_sub(cursor))))
}

fn confirm(c: &Connection, run: &RunId, fence: Fence, range: &Range, producer: &str) -> Result<(), WriteError> {
    leases::check(c, run, fence)?;
    let (run, count) = (run.as_str(), signed(range.count));
    let delete = "DELETE FROM outstanding WHERE run_id = ?1 AND first = ?2 AND count = ?3";
    if c.prepare_cached(delete)?.execute(params![run, signed(range.first), count])? == 0 {
        return Ok(());
    }
    c.prepare_cached("UPDATE runs SET published = published + ?2 WHERE run_id = ?1")?.execute(params![run, count])?;
    let upsert = "INSERT INTO producers VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET published = published + excluded.published";
    c.prepare_cached(upsert)?.execute(params![run, producer, count])?;
    Ok(())
}

fn outstanding(c: &Connection, run: &RunId) -> rusqlite::Result<Vec<Range>> {
    let range =
        |row: &Row<'_>| Ok(Range { first: unsigned(row, 0)?, count: unsigned(row, 1)?, scheduled_at_ms: row.get(2)? });
    let query = "SELECT first, count, scheduled_at_ms FROM outstanding WHERE run_id = ?1 ORDER BY first";
    c.prepare_cached(query)?.query_map([run.as_str()], range)?.collect()
}

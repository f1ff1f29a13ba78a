//! A run as people and scripts see it: the JSON shape, and its text. [`payload`] turns the wire's payload into JSON and back.
//!
//! Here: shapes and words. They may use the wire's messages, core and the output's tables. Only [`payload`] reads, a file or stdin; nothing
//! here calls the scheduler.

pub mod payload;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use paceline_core::run::RunState;
use paceline_proto::v1;
use prost_types::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::output::{counted, table};

/// A run with its numbers in one flat object. Times are RFC 3339 or null.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunView {
    pub run_id: String,
    pub state: String,
    pub jobs: u64,
    pub per_minutes: f64,
    pub total: Option<u64>,
    pub queue: String,
    pub groups: Vec<String>,
    pub handler: String,
    pub payload: Map<String, Value>,
    pub catch_up: &'static str,
    pub failure: Option<String>,
    pub started_at: Option<String>,
    pub ended_at: Option<String>,
    /// Absent if the scheduler could not read them: unknown is not zero.
    #[serde(flatten)]
    pub numbers: Option<NumbersView>,
}

/// The numbers of a run: one atomic read of the ledger. Rates are in jobs a second.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NumbersView {
    pub enqueued: u64,
    pub published: u64,
    pub processed: u64,
    pub dead: u64,
    pub duplicates: u64,
    pub in_flight: u64,
    pub asked_per_second: f64,
    pub achieved_per_second: f64,
    pub processed_per_second: f64,
    pub workers: BTreeMap<String, u64>,
    pub producers: BTreeMap<String, u64>,
    pub estimated_end: Option<String>,
    pub read_at: Option<String>,
}

/// A state as our own; `None` for one that this version does not know.
pub fn state(value: i32) -> Option<RunState> {
    RunState::parse(v1::RunState::try_from(value).ok()?.as_str_name().strip_prefix("RUN_STATE_")?)
}

fn rfc3339(timestamp: Option<Timestamp>) -> Option<String> {
    let timestamp = timestamp?;
    jiff::Timestamp::new(timestamp.seconds, timestamp.nanos).ok().map(|timestamp| timestamp.to_string())
}

impl From<v1::Run> for RunView {
    fn from(run: v1::Run) -> Self {
        let catch_up = match run.catch_up() {
            v1::CatchUp::Skip => "skip",
            v1::CatchUp::All | v1::CatchUp::Unspecified => "all",
        };
        Self {
            state: state(run.state).map_or_else(|| format!("UNKNOWN_{}", run.state), |state| state.name().to_owned()),
            run_id: run.run_id,
            jobs: run.jobs,
            per_minutes: run.per_minutes,
            total: run.total,
            queue: run.queue,
            groups: run.groups,
            handler: run.handler,
            payload: run.payload.as_ref().map(payload::to_json).unwrap_or_default(),
            catch_up,
            failure: Some(run.failure).filter(|failure| !failure.is_empty()),
            started_at: rfc3339(run.started_at),
            ended_at: rfc3339(run.ended_at),
            numbers: run.snapshot.map(NumbersView::from),
        }
    }
}

impl From<v1::Snapshot> for NumbersView {
    fn from(snapshot: v1::Snapshot) -> Self {
        Self {
            enqueued: snapshot.enqueued,
            published: snapshot.published,
            processed: snapshot.processed,
            dead: snapshot.dead,
            duplicates: snapshot.duplicates,
            in_flight: snapshot.in_flight,
            asked_per_second: snapshot.asked_per_second,
            achieved_per_second: snapshot.achieved_per_second,
            processed_per_second: snapshot.processed_per_second,
            workers: snapshot.workers.into_iter().collect(),
            producers: snapshot.producers.into_iter().collect(),
            estimated_end: rfc3339(snapshot.estimated_end),
            read_at: rfc3339(snapshot.read_at),
        }
    }
}

impl RunView {
    /// `run get` for a person.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let mut line = |label: &str, value: &str| {
            // Writing to a String cannot fail.
            _ = writeln!(text, "{label:<11}{value}");
        };
        line("run", &self.run_id);
        line("state", &self.state_and_failure());
        line("asked", &self.asked());
        line("queue", &format!("{}, handler {}, catch-up {}", self.queue, self.handler, self.catch_up));
        if !self.payload.is_empty() {
            line("payload", &serde_json::Value::Object(self.payload.clone()).to_string());
        }
        let times = [("started", &self.started_at), ("ended", &self.ended_at)];
        times
            .into_iter()
            .filter_map(|(label, time)| Some((label, time.as_ref()?)))
            .for_each(|(label, time)| line(label, time));
        match &self.numbers {
            Some(numbers) => numbers.lines().iter().for_each(|(label, value)| line(label, value)),
            None => line("numbers", "not readable now"),
        }
        text
    }

    /// One line of `run watch`, also beside its progress bar.
    pub fn progress(&self) -> String {
        let Some(numbers) = &self.numbers else { return format!("{}  numbers not readable now", self.state) };
        let of_total = self.total.map_or(String::new(), |total| format!(" of {total}"));
        format!(
            "{}  enqueued {}{of_total} at {:.1}/s (asked {:.1}/s)  processed {} at {:.1}/s  dead {}  in flight {}",
            self.state,
            numbers.enqueued,
            numbers.achieved_per_second,
            numbers.asked_per_second,
            numbers.processed,
            numbers.processed_per_second,
            numbers.dead,
            numbers.in_flight
        )
    }

    fn state_and_failure(&self) -> String {
        self.failure.as_ref().map_or_else(|| self.state.clone(), |failure| format!("{}: {failure}", self.state))
    }

    fn asked(&self) -> String {
        let total = self.total.map_or("until stopped".to_owned(), |total| format!("{} in all", counted(total, "job")));
        format!("{} every {} min, {total}", counted(self.jobs, "job"), self.per_minutes)
    }
}

impl NumbersView {
    fn lines(&self) -> Vec<(&'static str, String)> {
        let by_member = |members: &BTreeMap<String, u64>| {
            members.iter().map(|(id, jobs)| format!("{id} {jobs}")).collect::<Vec<_>>().join(", ")
        };
        let Self { enqueued, published, processed, dead, in_flight, duplicates, .. } = self;
        let (asked, achieved) = (self.asked_per_second, self.achieved_per_second);
        let mut lines = vec![
            (
                "jobs",
                format!(
                    "enqueued {enqueued}, published {published}, processed {processed}, dead {dead}, in flight {in_flight}"
                ),
            ),
            ("rate", format!("{achieved:.2}/s of {asked:.2}/s asked, {:.2}/s processed", self.processed_per_second)),
            ("duplicates", format!("{duplicates} executions beyond the first, without effect")),
        ];
        let members = [("workers", &self.workers), ("producers", &self.producers)];
        lines.extend(members.into_iter().filter(|(_, m)| !m.is_empty()).map(|(label, m)| (label, by_member(m))));
        lines.extend(self.estimated_end.clone().map(|end| ("ends about", end)));
        lines.extend(self.read_at.clone().map(|read_at| ("read at", read_at)));
        lines
    }
}

/// `run list` for a person.
pub fn list(runs: &[RunView]) -> String {
    let number = |run: &RunView, pick: fn(&NumbersView) -> u64| {
        run.numbers.as_ref().map_or("?".to_owned(), |numbers| pick(numbers).to_string())
    };
    let rows: Vec<_> = runs
        .iter()
        .map(|run| {
            [
                run.run_id.clone(),
                run.state.clone(),
                format!("{}/{} min", run.jobs, run.per_minutes),
                run.total.map_or("-".to_owned(), |total| total.to_string()),
                number(run, |n| n.enqueued),
                number(run, |n| n.processed),
                number(run, |n| n.dead),
                run.started_at.clone().unwrap_or_else(|| "-".to_owned()),
            ]
        })
        .collect();
    table(["RUN", "STATE", "RATE", "TOTAL", "ENQUEUED", "PROCESSED", "DEAD", "STARTED"], &rows)
}

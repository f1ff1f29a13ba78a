//! The explanation of a scale as it is printed: the object, and its text.

use paceline_proto::v1::{ExplainScaleResponse, ScaleRun, ScaleWorker};
use serde::Serialize;

use crate::output::{counted, table};
use crate::views;

/// The printed object: the wire's names, and `null` for what is not known.
#[derive(Debug, Serialize)]
pub struct View {
    queue: String,
    group: String,
    wanted: u32,
    current: u32,
    is_active: bool,
    holds: Vec<String>,
    steps: Vec<String>,
    ready: u64,
    depth_age_ms: u64,
    unacked: Option<u64>,
    outstanding: u64,
    arrival_per_second: f64,
    capacity_per_second: f64,
    is_measured: bool,
    drain_seconds: f64,
    min_workers: u32,
    max_workers: u32,
    runs: Vec<Run>,
    workers: Vec<WorkerView>,
}

#[derive(Debug, Serialize)]
struct Run {
    run_id: String,
    state: String,
    asked_per_second: f64,
    achieved_per_second: f64,
    outstanding: u64,
    age_ms: u64,
}

#[derive(Debug, Serialize)]
struct WorkerView {
    worker_id: String,
    age_ms: u64,
    is_stale: bool,
    is_stopping: bool,
    slots: Option<u64>,
    held: Option<u64>,
    per_second: Option<f64>,
    hold_ms: Option<f64>,
    busy: Option<f64>,
    measured_age_ms: Option<u64>,
    capacity_per_second: Option<f64>,
}

impl From<ExplainScaleResponse> for View {
    fn from(answer: ExplainScaleResponse) -> Self {
        Self {
            queue: answer.queue,
            group: answer.group,
            wanted: answer.wanted,
            current: answer.current,
            is_active: answer.is_active,
            holds: answer.holds,
            steps: answer.steps,
            ready: answer.ready,
            depth_age_ms: answer.depth_age_ms,
            unacked: answer.unacked,
            outstanding: answer.outstanding,
            arrival_per_second: answer.arrival_per_second,
            capacity_per_second: answer.capacity_per_second,
            is_measured: answer.is_measured,
            drain_seconds: answer.drain_seconds,
            min_workers: answer.min_workers,
            max_workers: answer.max_workers,
            runs: answer.runs.into_iter().map(Run::from).collect(),
            workers: answer.workers.into_iter().map(WorkerView::from).collect(),
        }
    }
}

impl From<ScaleRun> for Run {
    fn from(run: ScaleRun) -> Self {
        let state = views::state(run.state).map_or("UNKNOWN", |state| state.name()).to_owned();
        let ScaleRun { run_id, asked_per_second, achieved_per_second, outstanding, age_ms, .. } = run;
        Self { run_id, state, asked_per_second, achieved_per_second, outstanding, age_ms }
    }
}

impl From<ScaleWorker> for WorkerView {
    fn from(worker: ScaleWorker) -> Self {
        Self {
            worker_id: worker.worker_id,
            age_ms: worker.age_ms,
            is_stale: worker.is_stale,
            is_stopping: worker.is_stopping,
            slots: worker.slots,
            held: worker.held,
            per_second: worker.per_second,
            hold_ms: worker.hold_ms,
            busy: worker.busy,
            measured_age_ms: worker.measured_age_ms,
            capacity_per_second: worker.capacity_per_second,
        }
    }
}

impl View {
    /// A sentence, the steps of the arithmetic, then tables of runs and workers.
    pub fn text(&self) -> String {
        let Self { queue, group, wanted, current, .. } = self;
        let mut parts = vec![format!(
            "queue {queue}, group {group}: {} wanted, {current} there",
            counted((*wanted).into(), "worker")
        )];
        parts.extend(self.steps.iter().map(|step| format!("  {step}")));
        if !self.runs.is_empty() {
            let headings = ["RUN", "STATE", "ASKED/S", "ENQUEUED/S", "OUTSTANDING", "READ"];
            parts.push(format!("\n{}", table(headings, &self.runs.iter().map(Run::row).collect::<Vec<_>>())));
        }
        if !self.workers.is_empty() {
            let headings = ["WORKER", "HEARTBEAT", "HELD", "JOBS/S", "HOLD", "BUSY", "COULD/S", "MEASURED"];
            parts.push(format!("\n{}", table(headings, &self.workers.iter().map(WorkerView::row).collect::<Vec<_>>())));
        }
        parts.join("\n")
    }
}

impl Run {
    fn row(&self) -> [String; 6] {
        [
            self.run_id.clone(),
            self.state.clone(),
            format!("{:.1}", self.asked_per_second),
            format!("{:.1}", self.achieved_per_second),
            self.outstanding.to_string(),
            ago(Some(self.age_ms)),
        ]
    }
}

impl WorkerView {
    fn row(&self) -> [String; 8] {
        let mark = match (self.is_stopping, self.is_stale) {
            (true, _) => ", stopping",
            (_, true) => ", stale",
            _ => "",
        };
        let number = |number: Option<f64>| number.map_or("?".into(), |number| format!("{number:.1}"));
        let whole = |number: Option<u64>| number.map_or("?".into(), |number| number.to_string());
        [
            self.worker_id.clone(),
            format!("{}{mark}", ago(Some(self.age_ms))),
            format!("{} of {}", whole(self.held), whole(self.slots)),
            number(self.per_second),
            self.hold_ms.map_or("?".into(), |ms| format!("{ms:.1} ms")),
            self.busy.map_or("?".into(), |busy| format!("{:.0} %", busy * 100.0)),
            number(self.capacity_per_second),
            ago(self.measured_age_ms),
        ]
    }
}

fn ago(ms: Option<u64>) -> String {
    ms.map_or("?".into(), |ms| format!("{:.1} s ago", ms as f64 / 1e3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_no_zero() {
        let old = ScaleWorker { worker_id: "old".into(), age_ms: 400, ..ScaleWorker::default() };
        let answer = ExplainScaleResponse {
            queue: "mail".into(),
            group: "main".into(),
            wanted: 1,
            current: 1,
            steps: vec!["wanted: 1".into()],
            workers: vec![old],
            ..Default::default()
        };
        let view = View::from(answer);
        assert_eq!(
            view.text(),
            "queue mail, group main: 1 worker wanted, 1 there\n  wanted: 1\n\n\
             WORKER  HEARTBEAT  HELD    JOBS/S  HOLD  BUSY  COULD/S  MEASURED\n\
             old     0.4 s ago  ? of ?  ?       ?     ?     ?        ?"
        );
        let json = serde_json::to_value(&view).unwrap();
        assert!(json["unacked"].is_null() && json["workers"][0]["slots"].is_null(), "{json}");
    }
}

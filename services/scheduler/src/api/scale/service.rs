//! The edge of `paceline.v1.ScaleService`.

use paceline_core::Result;
use paceline_core::scaling::{Aim, Decision, Feed, WorkerReading};
use paceline_proto::v1::scale_service_server::ScaleService;
use paceline_proto::v1::{ExplainScaleRequest, ExplainScaleResponse, ScaleRun, ScaleWorker};
use paceline_runtime::status::to_status;
use tonic::{Request, Response, Status};

use super::question::Question;
use crate::api::convert;
use crate::context::Context;

pub struct ScaleApi(pub Context);

#[tonic::async_trait]
impl ScaleService for ScaleApi {
    async fn explain_scale(
        &self,
        request: Request<ExplainScaleRequest>,
    ) -> Result<Response<ExplainScaleResponse>, Status> {
        let answer = async {
            let question = question(&request.into_inner(), &self.0)?;
            let decision = question.answer(&self.0).await?;
            Ok(wire(question, &decision))
        };
        answer.await.map(Response::new).map_err(to_status)
    }
}

/// Zeros are the defaults.
fn question(request: &ExplainScaleRequest, context: &Context) -> Result<Question> {
    let default = Aim::default();
    let or = |asked: f64, default| if asked == 0.0 { default } else { asked };
    let aim = Aim {
        drain_seconds: or(request.drain_seconds, default.drain_seconds),
        min_workers: request.min_workers,
        max_workers: if request.max_workers == 0 { default.max_workers } else { request.max_workers },
        jobs_per_second: or(request.jobs_per_second, default.jobs_per_second),
    };
    Question { queue: request.queue.clone(), group: request.group.clone(), aim }.checked(&context.config, str::to_owned)
}

fn wire(Question { queue, group, aim }: Question, decision: &Decision) -> ExplainScaleResponse {
    ExplainScaleResponse {
        queue,
        group,
        wanted: decision.wanted,
        current: decision.current,
        holds: decision.holds.clone(),
        steps: decision.steps(),
        is_active: decision.is_active,
        ready: decision.readings.depth.ready,
        unacked: decision.unacked,
        outstanding: decision.backlog - decision.readings.depth.ready,
        arrival_per_second: decision.arrival_per_second,
        capacity_per_second: decision.capacity_per_second,
        is_measured: decision.measured_by > 0,
        runs: decision.readings.feeds.iter().map(run).collect(),
        workers: decision.readings.workers.iter().map(worker).collect(),
        depth_age_ms: decision.readings.depth_age_ms,
        drain_seconds: aim.drain_seconds,
        min_workers: aim.min_workers,
        max_workers: aim.max_workers,
    }
}

fn run(feed: &Feed) -> ScaleRun {
    ScaleRun {
        run_id: feed.run.to_string(),
        state: convert::state(feed.state).into(),
        asked_per_second: feed.asked_per_second,
        achieved_per_second: feed.achieved_per_second,
        outstanding: feed.outstanding,
        age_ms: feed.age_ms,
    }
}

fn worker(worker: &WorkerReading) -> ScaleWorker {
    let load = worker.load.as_ref();
    let measured = load.filter(|load| load.measured_at_ms.is_some());
    ScaleWorker {
        worker_id: worker.id.clone(),
        age_ms: worker.age_ms,
        is_stale: worker.is_stale(),
        is_stopping: worker.is_stopping,
        slots: load.map(|load| load.slots),
        held: load.map(|load| load.held),
        per_second: measured.map(|load| load.per_second),
        hold_ms: load.and_then(|load| load.hold_ms),
        busy: worker.busy,
        measured_age_ms: worker.measured_age_ms,
        capacity_per_second: worker.capacity_per_second(),
    }
}

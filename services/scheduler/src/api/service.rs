//! The edge: `paceline.v1.SchedulerService`. Converts once, calls [`SchedulerHandle`], turns errors into statuses.

use futures::StreamExt as _;
use futures::stream::BoxStream;
use paceline_core::error::codes;
use paceline_core::ids::RunId;
use paceline_core::run::Snapshot;
use paceline_core::trace::TraceContext;
use paceline_core::{Error, Result};
use paceline_proto::v1::scheduler_service_server::SchedulerService;
use paceline_proto::v1::{self, *};
use paceline_runtime::status::to_status;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status};

use super::handle::SchedulerHandle;
use super::validate::{RunUpdate, StartRun};
use super::{convert, watch};

type Answer<T> = std::result::Result<Response<T>, Status>;

pub struct SchedulerApi {
    scheduler: SchedulerHandle,
}

impl SchedulerApi {
    pub fn new(scheduler: SchedulerHandle) -> Self {
        Self { scheduler }
    }
}

fn one(snapshot: Result<Snapshot>) -> std::result::Result<Option<v1::Run>, Status> {
    snapshot.map(|snapshot| Some(convert::run(&snapshot))).map_err(to_status)
}

/// The caller's W3C trace context, if it is one.
fn traceparent(metadata: &MetadataMap) -> Option<String> {
    let text = metadata.get("traceparent")?.to_str().ok()?;
    TraceContext::parse(text).map(|context| context.to_string())
}

fn id(text: &str) -> std::result::Result<RunId, Status> {
    RunId::parse(text).map_err(to_status)
}

#[tonic::async_trait]
impl SchedulerService for SchedulerApi {
    async fn start_run(&self, request: Request<StartRunRequest>) -> Answer<StartRunResponse> {
        let traceparent = traceparent(request.metadata());
        let ask = StartRun { traceparent, ..convert::start_run(request.into_inner()) };
        let run = one(self.scheduler.start(ask).await)?;
        Ok(Response::new(StartRunResponse { run }))
    }

    async fn update_run(&self, request: Request<UpdateRunRequest>) -> Answer<UpdateRunResponse> {
        let request = request.into_inner();
        // 0 removes the total: proto3 cannot say "present but none" otherwise.
        let total = request.total.map(|total| (total > 0).then_some(total));
        let update = RunUpdate { jobs: request.jobs, per_minutes: request.per_minutes, total };
        let run = one(self.scheduler.update(&id(&request.run_id)?, update).await)?;
        Ok(Response::new(UpdateRunResponse { run }))
    }

    async fn pause_run(&self, request: Request<PauseRunRequest>) -> Answer<PauseRunResponse> {
        let run = one(self.scheduler.pause(&id(&request.get_ref().run_id)?).await)?;
        Ok(Response::new(PauseRunResponse { run }))
    }

    async fn resume_run(&self, request: Request<ResumeRunRequest>) -> Answer<ResumeRunResponse> {
        let run = one(self.scheduler.resume(&id(&request.get_ref().run_id)?).await)?;
        Ok(Response::new(ResumeRunResponse { run }))
    }

    async fn stop_run(&self, request: Request<StopRunRequest>) -> Answer<StopRunResponse> {
        let run = one(self.scheduler.stop(&id(&request.get_ref().run_id)?).await)?;
        Ok(Response::new(StopRunResponse { run }))
    }

    async fn get_run(&self, request: Request<GetRunRequest>) -> Answer<GetRunResponse> {
        let run = one(self.scheduler.get(&id(&request.get_ref().run_id)?).await)?;
        Ok(Response::new(GetRunResponse { run }))
    }

    async fn list_runs(&self, request: Request<ListRunsRequest>) -> Answer<ListRunsResponse> {
        let request = request.into_inner();
        let token = Some(request.page_token.as_str()).filter(|token| !token.is_empty());
        let bad_token = |_| {
            to_status(
                Error::invalid_field("page_token", "is not the next_page_token of another page")
                    .coded(codes::PAGE_TOKEN_INVALID),
            )
        };
        let before = token.map(RunId::parse).transpose().map_err(bad_token)?;
        let page = self.scheduler.list(before.as_ref(), request.page_size as usize).await.map_err(to_status)?;
        let next_page_token = page.next.map(|run| run.to_string()).unwrap_or_default();
        Ok(Response::new(ListRunsResponse { runs: page.runs.iter().map(convert::run).collect(), next_page_token }))
    }

    type WatchRunStream = BoxStream<'static, std::result::Result<WatchRunResponse, Status>>;

    async fn watch_run(&self, request: Request<WatchRunRequest>) -> Answer<Self::WatchRunStream> {
        let run = id(&request.get_ref().run_id)?;
        let first = self.scheduler.get(&run).await.map_err(to_status)?;
        let updates = watch::watch(self.scheduler.clone(), first);
        let wire = updates.map(|update| Ok(WatchRunResponse { run: one(update)? }));
        Ok(Response::new(wire.boxed()))
    }
}

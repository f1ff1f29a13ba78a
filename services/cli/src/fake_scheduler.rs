//! A scheduler for the tests of the commands: it has what a test gives it and speaks the real wire.

use std::collections::VecDeque;
use std::sync::Mutex;

use futures::stream::{self, BoxStream, StreamExt as _};
use paceline_core::Error;
use paceline_proto::v1;
use paceline_proto::v1::scheduler_service_server::{SchedulerService, SchedulerServiceServer};
use paceline_proto::v1::verify_service_server::{VerifyService, VerifyServiceServer};
use paceline_runtime::lifecycle::{Shutdown, Tasks};
use paceline_runtime::settings::Settings;
use paceline_runtime::telemetry::Log;
use paceline_runtime::telemetry::metrics::Metrics;
use paceline_runtime::telemetry::traces::Traces;
use paceline_runtime::{grpc, status};
use tonic::{Request, Response, Status};

use crate::context::CommandContext;
use crate::output::Output;

/// The most runs on a page of the fake, so that a few runs are several pages.
const PAGE_RUNS: usize = 2;

#[derive(Default)]
pub struct Fake {
    /// Newest first.
    pub runs: Vec<v1::Run>,
    /// The updates of each watch, one stream after the other; a stream that has been sent ends.
    pub watches: Mutex<VecDeque<Vec<v1::Run>>>,
    pub verification: v1::VerifyRunResponse,
}

pub fn run(run_id: &str, state: v1::RunState) -> v1::Run {
    v1::Run { run_id: run_id.into(), state: state.into(), ..v1::Run::default() }
}

impl Fake {
    /// Serves on a free port until the guard is dropped; the context's `server` is there.
    pub async fn serve(self) -> (CommandContext, Guard) {
        let listener = grpc::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let server = format!("http://{}", listener.local_addr().unwrap());
        let (shutdown, fake) = (Shutdown::new(), std::sync::Arc::new(self));
        let guard = Guard(shutdown.clone());
        let add = move |routes: tonic::service::Routes| {
            let verify = VerifyServiceServer::from_arc(fake.clone());
            routes.add_service(SchedulerServiceServer::from_arc(fake)).add_service(verify)
        };
        Tasks::new().spawn(async move {
            let unseen = (&Metrics::off(), &Traces::off());
            grpc::serve(listener, grpc::GrpcHealth::new(), add, unseen, shutdown).await
        });
        let settings = Settings { server, ..Settings::default() };
        let output = Output { json: true };
        (CommandContext { settings, output, server_is_explicit: true, log: Log::default() }, guard)
    }

    fn named(&self, run_id: &str) -> Result<Option<v1::Run>, Status> {
        let run = self.runs.iter().find(|run| run.run_id == run_id);
        let run = run.ok_or_else(|| status::to_status(Error::not_found(format!("no run {run_id}"))))?;
        Ok(Some(run.clone()))
    }
}

pub struct Guard(Shutdown);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.trigger();
    }
}

#[tonic::async_trait]
impl SchedulerService for Fake {
    type WatchRunStream = BoxStream<'static, Result<v1::WatchRunResponse, Status>>;

    async fn start_run(&self, request: Request<v1::StartRunRequest>) -> Result<Response<v1::StartRunResponse>, Status> {
        let request = request.into_inner();
        let run = v1::Run { jobs: request.jobs, total: request.total, ..run("started", v1::RunState::Running) };
        Ok(Response::new(v1::StartRunResponse { run: Some(run) }))
    }

    async fn update_run(
        &self,
        request: Request<v1::UpdateRunRequest>,
    ) -> Result<Response<v1::UpdateRunResponse>, Status> {
        Ok(Response::new(v1::UpdateRunResponse { run: self.named(&request.into_inner().run_id)? }))
    }

    async fn pause_run(&self, request: Request<v1::PauseRunRequest>) -> Result<Response<v1::PauseRunResponse>, Status> {
        Ok(Response::new(v1::PauseRunResponse { run: self.named(&request.into_inner().run_id)? }))
    }

    async fn resume_run(
        &self,
        request: Request<v1::ResumeRunRequest>,
    ) -> Result<Response<v1::ResumeRunResponse>, Status> {
        Ok(Response::new(v1::ResumeRunResponse { run: self.named(&request.into_inner().run_id)? }))
    }

    async fn stop_run(&self, request: Request<v1::StopRunRequest>) -> Result<Response<v1::StopRunResponse>, Status> {
        Ok(Response::new(v1::StopRunResponse { run: self.named(&request.into_inner().run_id)? }))
    }

    async fn get_run(&self, request: Request<v1::GetRunRequest>) -> Result<Response<v1::GetRunResponse>, Status> {
        Ok(Response::new(v1::GetRunResponse { run: self.named(&request.into_inner().run_id)? }))
    }

    async fn list_runs(&self, request: Request<v1::ListRunsRequest>) -> Result<Response<v1::ListRunsResponse>, Status> {
        let request = request.into_inner();
        let first: usize = if request.page_token.is_empty() { 0 } else { request.page_token.parse().unwrap() };
        let end = self.runs.len().min(first + PAGE_RUNS.min(request.page_size as usize));
        let next_page_token = if end < self.runs.len() { end.to_string() } else { String::new() };
        Ok(Response::new(v1::ListRunsResponse { runs: self.runs[first..end].to_vec(), next_page_token }))
    }

    async fn watch_run(&self, request: Request<v1::WatchRunRequest>) -> Result<Response<Self::WatchRunStream>, Status> {
        self.named(&request.into_inner().run_id)?;
        let updates = self.watches.lock().unwrap().pop_front().unwrap_or_default();
        let answers = updates.into_iter().map(|run| Ok(v1::WatchRunResponse { run: Some(run) }));
        Ok(Response::new(stream::iter(answers).boxed()))
    }
}

#[tonic::async_trait]
impl VerifyService for Fake {
    async fn verify_run(
        &self,
        request: Request<v1::VerifyRunRequest>,
    ) -> Result<Response<v1::VerifyRunResponse>, Status> {
        self.named(&request.into_inner().run_id)?;
        Ok(Response::new(self.verification.clone()))
    }

    async fn repair_run(
        &self,
        request: Request<v1::RepairRunRequest>,
    ) -> Result<Response<v1::RepairRunResponse>, Status> {
        let run_id = request.into_inner().run_id;
        self.named(&run_id)?;
        Ok(Response::new(v1::RepairRunResponse { run_id, published: 1, ..Default::default() }))
    }
}

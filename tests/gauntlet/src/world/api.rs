//! Calls to whichever scheduler answers: each change is tried again at the other one until it has been accepted.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, bail};
use paceline_proto::v1::scheduler_service_client::SchedulerServiceClient;
use paceline_proto::v1::{
    GetRunRequest, PauseRunRequest, ResumeRunRequest, Run, StartRunRequest, StopRunRequest, UpdateRunRequest,
};
use tokio::time::Instant;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

type Client = SchedulerServiceClient<Channel>;

const CONNECT_MAX: Duration = Duration::from_secs(1);
/// The longest that one try of a change may take, and all of them.
const TRY_MAX: Duration = Duration::from_secs(3);
const CHANGE_MAX: Duration = Duration::from_secs(120);
const TRY_AGAIN: Duration = Duration::from_millis(200);
/// A sample that is older than this says nothing about now.
const READ_MAX: Duration = Duration::from_secs(2);

pub struct Api {
    clients: Vec<Client>,
    next: AtomicUsize,
}

/// A change to a run.
#[derive(Debug, Clone)]
pub enum Change {
    Start(Box<StartRunRequest>),
    Rate { jobs: u64, per_minutes: f64 },
    Total(u64),
    Pause,
    Resume,
    Stop,
}

impl Api {
    pub fn of(ports: &[u16]) -> anyhow::Result<Self> {
        let client = |port: &u16| {
            let endpoint = Endpoint::from_shared(format!("http://127.0.0.1:{port}"))?.connect_timeout(CONNECT_MAX);
            anyhow::Ok(Client::new(endpoint.connect_lazy()))
        };
        Ok(Self { clients: ports.iter().map(client).collect::<anyhow::Result<_>>()?, next: AtomicUsize::new(0) })
    }

    pub async fn start(&self, request: &StartRunRequest) -> anyhow::Result<Run> {
        self.until_accepted("", &Change::Start(Box::new(request.clone()))).await
    }

    pub async fn change(&self, run: &str, change: &Change) -> anyhow::Result<Run> {
        self.until_accepted(run, change).await
    }

    /// One look, at the next scheduler in turn.
    pub async fn read(&self, run: &str) -> Result<Run, Status> {
        let mut request = Request::new(GetRunRequest { run_id: run.to_owned() });
        request.set_timeout(READ_MAX);
        let mut client = self.next();
        let answer = tokio::time::timeout(READ_MAX, client.get_run(request)).await;
        let answer = answer.map_err(|_| Status::deadline_exceeded("no answer"))??.into_inner();
        answer.run.ok_or_else(|| Status::internal("GetRun answers no run"))
    }

    fn next(&self) -> Client {
        self.clients[self.next.fetch_add(1, Ordering::Relaxed) % self.clients.len()].clone()
    }

    async fn until_accepted(&self, run: &str, change: &Change) -> anyhow::Result<Run> {
        let deadline = Instant::now() + CHANGE_MAX;
        loop {
            let status = match tokio::time::timeout(TRY_MAX, ask(self.next(), run, change)).await {
                Ok(Ok(run)) => return run.with_context(|| format!("{change:?} answers no run")),
                Ok(Err(status)) => status,
                Err(_) => Status::deadline_exceeded("no answer"),
            };
            if matches!(status.code(), Code::InvalidArgument | Code::FailedPrecondition | Code::NotFound) {
                bail!("{change:?} is refused: {status}");
            }
            if Instant::now() > deadline {
                bail!("{change:?} was not accepted within {} s: {status}", CHANGE_MAX.as_secs());
            }
            tokio::time::sleep(TRY_AGAIN).await;
        }
    }
}

async fn ask(mut client: Client, run: &str, change: &Change) -> Result<Option<Run>, Status> {
    let run_id = run.to_owned();
    Ok(match change {
        Change::Start(request) => client.start_run(limited((**request).clone())).await?.into_inner().run,
        Change::Rate { jobs, per_minutes } => {
            let (jobs, per_minutes) = (Some(*jobs), Some(*per_minutes));
            let request = UpdateRunRequest { run_id, jobs, per_minutes, total: None };
            client.update_run(limited(request)).await?.into_inner().run
        }
        Change::Total(total) => {
            let request = UpdateRunRequest { run_id, total: Some(*total), ..Default::default() };
            client.update_run(limited(request)).await?.into_inner().run
        }
        Change::Pause => client.pause_run(limited(PauseRunRequest { run_id })).await?.into_inner().run,
        Change::Resume => client.resume_run(limited(ResumeRunRequest { run_id })).await?.into_inner().run,
        Change::Stop => client.stop_run(limited(StopRunRequest { run_id })).await?.into_inner().run,
    })
}

fn limited<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(TRY_MAX);
    request
}

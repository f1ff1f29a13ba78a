//! Starts a run through the generated gRPC client and watches the run until it has ended.
//!
//! ```text
//! paceline dev
//! cargo run -p paceline-examples --bin start_and_watch -- --jobs 600 --per-minutes 1 --total 20
//! ```
//!
//! A caller of the API has two duties, and both are here. StartRun carries a request id, so that a call whose answer was lost may be
//! sent again without starting a second run. A watch that breaks is opened again, because the scheduler may be replaced while the run
//! goes on.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use clap::Parser;
use paceline_proto::v1::scheduler_service_client::SchedulerServiceClient;
use paceline_proto::v1::{Run, RunState, StartRunRequest, WatchRunRequest, WatchRunResponse};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status, Streaming};

/// The number of times that a call which reaches nobody is made; the pause comes before the next one.
const ATTEMPTS_MAX: u32 = 10;
const PAUSE: Duration = Duration::from_secs(1);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// WatchRun sends the run at least once in 5 seconds, so a longer silence is a connection that broke.
const SILENCE_MAX: Duration = Duration::from_secs(15);

/// Starts a run of "JOBS jobs every PER_MINUTES minutes" and watches it until it has ended
#[derive(Debug, Parser)]
struct Arguments {
    /// Address of the scheduler
    #[arg(long, env = "PACELINE_SERVER", default_value = "http://127.0.0.1:50051")]
    server: String,
    /// Token of the scheduler, if it asks for one
    #[arg(long, env = "PACELINE_TOKEN", hide_env_values = true)]
    token: Option<String>,
    #[arg(long, default_value_t = 600)]
    jobs: u64,
    #[arg(long, default_value_t = 1.0)]
    per_minutes: f64,
    /// Jobs in all; the run has ended when each of them has
    #[arg(long, default_value_t = 20)]
    total: u64,
    /// Idempotency key: the same id again answers the same run; absent: a new id
    #[arg(long)]
    request_id: Option<String>,
}

type Client = SchedulerServiceClient<InterceptedService<Channel, AddToken>>;

/// Puts the token into the metadata of every call.
#[derive(Clone)]
struct AddToken(Option<MetadataValue<Ascii>>);

impl Interceptor for AddToken {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(bearer) = &self.0 {
            request.metadata_mut().insert("authorization", bearer.clone());
        }
        Ok(request)
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    match execute(&Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn execute(arguments: &Arguments) -> Result<()> {
    let client = connect(arguments)?;
    println!("asking {} for {} jobs in all", arguments.server, arguments.total);
    let run = start(&client, arguments).await?;
    println!("run {} is durable", run.run_id);
    let ended = watch(&client, &run.run_id).await?;
    println!("run {} has ended", ended.run_id);
    ensure!(ended.state() == RunState::Completed, "run {} ended {} {}", ended.run_id, name(&ended), ended.failure);
    Ok(())
}

/// Connects with the first call, and again whenever the connection was lost.
fn connect(arguments: &Arguments) -> Result<Client> {
    let server = &arguments.server;
    let endpoint = Endpoint::from_shared(server.clone()).ok().filter(|endpoint| endpoint.uri().scheme().is_some());
    let endpoint = endpoint.with_context(|| format!("{server:?} is no address; write http://HOST:PORT"))?;
    let bearer = arguments.token.as_ref().map(|token| format!("Bearer {token}").parse());
    let bearer = bearer.transpose().context("the token has characters that no header may have")?;
    let channel = endpoint.connect_timeout(CONNECT_TIMEOUT).connect_lazy();
    Ok(SchedulerServiceClient::with_interceptor(channel, AddToken(bearer)))
}

async fn start(client: &Client, arguments: &Arguments) -> Result<Run> {
    let new_id = || format!("start-and-watch-{}-{}", std::process::id(), jiff::Timestamp::now().as_millisecond());
    let request = StartRunRequest {
        jobs: arguments.jobs,
        per_minutes: arguments.per_minutes,
        total: Some(arguments.total),
        request_id: arguments.request_id.clone().unwrap_or_else(new_id),
        ..Default::default()
    };
    let answer = patiently("start the run", async || client.clone().start_run(request.clone()).await).await?;
    answer.into_inner().run.context("the scheduler answered without a run")
}

/// Answers the run as it ended.
async fn watch(client: &Client, run_id: &str) -> Result<Run> {
    let request = WatchRunRequest { run_id: run_id.to_owned() };
    loop {
        let opened = patiently("watch the run", async || client.clone().watch_run(request.clone()).await).await?;
        if let Some(ended) = follow(opened.into_inner()).await {
            return Ok(ended);
        }
        println!("the watch broke; the run goes on, so watching again");
        tokio::time::sleep(PAUSE).await;
    }
}

/// Prints each update. `None`: the watch broke before the run had ended.
async fn follow(mut updates: Streaming<WatchRunResponse>) -> Option<Run> {
    while let Ok(Ok(Some(update))) = tokio::time::timeout(SILENCE_MAX, updates.message()).await {
        let run = update.run?;
        println!("{}", line(&run));
        if matches!(run.state(), RunState::Completed | RunState::Stopped | RunState::Failed) {
            return Some(run);
        }
    }
    None
}

fn line(run: &Run) -> String {
    let state = name(run);
    let Some(snapshot) = &run.snapshot else { return format!("{state}  numbers not readable now") };
    let (enqueued, processed, dead) = (snapshot.enqueued, snapshot.processed, snapshot.dead);
    format!("{state}  enqueued {enqueued}, processed {processed}, dead {dead}, in flight {}", snapshot.in_flight)
}

fn name(run: &Run) -> &'static str {
    run.state().as_str_name().trim_start_matches("RUN_STATE_")
}

/// Makes a call again while nobody answers; every other refusal is final.
async fn patiently<T>(what: &str, mut call: impl AsyncFnMut() -> Result<T, Status>) -> Result<T> {
    let mut attempt = 1;
    loop {
        match call().await {
            Ok(answer) => return Ok(answer),
            Err(status) if status.code() == Code::Unavailable && attempt < ATTEMPTS_MAX => {
                println!("cannot {what} yet: {}", status.message());
            }
            Err(status) => bail!("cannot {what}: {}: {}", status.code(), status.message()),
        }
        attempt += 1;
        tokio::time::sleep(PAUSE).await;
    }
}

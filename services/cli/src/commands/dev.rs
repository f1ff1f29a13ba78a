//! `paceline dev`: every role in one process on embedded adapters. The production wiring, with nothing to install.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use paceline_adapters::resolve::{self, Connections};
use paceline_core::Result;
use paceline_core::clock::{SharedClock, SystemClock};
use paceline_core::ports::Backends;
use paceline_node::{InProcess, Node, WorkerSetup};
use paceline_runtime::admin::{self, Shown};
use paceline_runtime::auth::check_bind;
use paceline_runtime::grpc;
use paceline_runtime::lifecycle::Shutdown;
use paceline_runtime::protocol::{self, Build};
use paceline_runtime::settings::Settings;
use paceline_runtime::telemetry::Identity;
use paceline_runtime::telemetry::metrics::Metrics;
use paceline_runtime::telemetry::traces::Traces;
use paceline_worker::BATCH_MAX_DEFAULT;
use serde::Serialize;
use tokio::net::TcpListener;

use super::run;
use crate::context::CommandContext;
use crate::exit::Exit;
use crate::flags::{self, AdminFlags};
use crate::observed::observed;
use crate::output::table;
use crate::roles::{DEFAULT_PRODUCER, DEFAULT_SCHEDULER, url};

/// Consumers of each worker: in one process more would only share the same lock.
const SETUP: WorkerSetup =
    WorkerSetup { consumers: 4, prefetch: 100, batch_max: BATCH_MAX_DEFAULT, grace: Duration::from_secs(5) };

#[derive(Debug, Args)]
pub struct DevArguments {
    /// Folder for everything that is kept; one process at a time
    #[arg(long, value_name = "FOLDER", default_value = ".paceline")]
    data_dir: PathBuf,
    /// Workers in this process
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=64))]
    workers: u32,
    /// Start a run at once: X of "X jobs every Y minutes"
    #[arg(long, value_name = "X", requires = "per_minutes", value_parser = clap::value_parser!(u64).range(1..))]
    jobs: Option<u64>,
    /// Y of that run; may have a fraction
    #[arg(long, value_name = "Y", requires = "jobs", value_parser = flags::minutes)]
    per_minutes: Option<f64>,
    /// Stop that run at exactly this many jobs [default: go on until stopped]
    #[arg(long, value_name = "T", requires = "jobs", value_parser = clap::value_parser!(u64).range(1..))]
    total: Option<u64>,
    /// End when that run has ended, instead of serving on
    #[arg(long, requires = "jobs")]
    exit_when_done: bool,
    /// Address of the scheduler; port 0 picks a free one, which is printed
    #[arg(long, value_name = "HOST:PORT", default_value = DEFAULT_SCHEDULER)]
    listen: SocketAddr,
    /// Address of the producer; port 0 picks a free one, which is printed
    #[arg(long, value_name = "HOST:PORT", default_value = DEFAULT_PRODUCER)]
    producer_listen: SocketAddr,
    #[command(flatten)]
    admin: AdminFlags,
}

/// The addresses and folders of the started roles, for people as a table and for scripts as JSON.
#[derive(Debug, Serialize)]
struct Ready {
    scheduler: String,
    producer: String,
    /// `/livez`, `/readyz`, `/metrics` and `/log` of all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    admin: Option<String>,
    workers: u32,
    data_dir: PathBuf,
    ready_ms: u64,
}

pub async fn execute(arguments: DevArguments, context: &CommandContext) -> anyhow::Result<Exit> {
    let folder = Some(arguments.data_dir.as_path());
    let serving = async |traces, metrics| serve(&arguments, context, traces, metrics).await;
    observed(context, Identity { role: "dev", id: "dev" }, folder, serving).await
}

async fn serve(
    arguments: &DevArguments,
    context: &CommandContext,
    traces: Traces,
    metrics: Metrics,
) -> anyhow::Result<Exit> {
    let node = Node::new(&context.settings, SystemClock::shared()).observed(traces, metrics);
    let (ready, mut mesh) = start(arguments, context, node).await?;
    show(&ready, context)?;
    let settings = Settings { server: ready.scheduler, ..context.settings.clone() };
    let shutdown = mesh.shutdown.clone();
    let exit = tokio::select! {
        // A role that ends by itself has failed; the others are stopped.
        ended = mesh.roles.join_next() => ended.map_or(Ok(Exit::Done), |role| role?.map(|()| Exit::Done).map_err(Into::into)),
        exit = work(arguments, &settings, context, &shutdown) => exit,
    };
    shutdown.trigger();
    while let Some(ended) = mesh.roles.join_next().await {
        ended??;
    }
    exit
}

/// Binds, opens the folder and starts every role.
async fn start(arguments: &DevArguments, context: &CommandContext, node: Node) -> anyhow::Result<(Ready, InProcess)> {
    let (settings, shutdown) = (&context.settings, Shutdown::on_signal()?);
    for address in [arguments.listen, arguments.producer_listen] {
        check_bind(address, settings.token.as_deref(), arguments.admin.allow_anonymous)?;
    }
    let (scheduler, producer) = (grpc::bind(arguments.listen).await?, grpc::bind(arguments.producer_listen).await?);
    let admin = arguments.admin.bind(admin::SCHEDULER_PORT, settings).await?;
    let backends = open(&arguments.data_dir, &node.clock).await?;
    let ready = Ready {
        scheduler: url(&scheduler)?,
        producer: url(&producer)?,
        admin: admin.as_ref().map(url).transpose()?,
        workers: arguments.workers,
        data_dir: arguments.data_dir.clone(),
        ready_ms: node.clock.monotonic_ns() / 1_000_000,
    };
    let metrics = node.metrics.clone();
    let mut mesh = InProcess::new("dev", node, backends, shutdown);
    mesh.serve("dev", scheduler, producer);
    for number in 1..=arguments.workers {
        mesh.work(&format!("dev-worker-{number}"), SETUP);
    }
    let shown = Shown { readiness: mesh.readiness.clone(), metrics, log: context.log.filter.clone() };
    mesh.roles.spawn(show_admin(admin, shown, settings.token.clone(), mesh.shutdown.clone()));
    Ok((ready, mesh))
}

async fn show_admin(port: Option<TcpListener>, shown: Shown, token: Option<String>, stop: Shutdown) -> Result<()> {
    let until_stop = async {
        stop.triggered().await;
        Ok(())
    };
    admin::beside(port, shown, token.as_deref(), until_stop).await
}

/// The folder's adapters, of a mesh that this build understands.
async fn open(folder: &Path, clock: &SharedClock) -> Result<Backends> {
    let backends = resolve::connect(&Connections::embedded(folder), clock.clone()).await?;
    let ledger = protocol::join(backends.ledger, &folder.display().to_string(), Build::THIS).await?;
    Ok(Backends { ledger, ..backends })
}

/// Starts and follows the run that was asked for, then serves on until a stop.
async fn work(
    arguments: &DevArguments,
    settings: &Settings,
    context: &CommandContext,
    shutdown: &Shutdown,
) -> anyhow::Result<Exit> {
    if let (Some(jobs), Some(per_minutes)) = (arguments.jobs, arguments.per_minutes) {
        let following = run::start_and_follow(jobs, per_minutes, arguments.total, settings, context);
        let Some(exit) = shutdown.or(following).await.transpose()? else { return Ok(Exit::Done) };
        if shutdown.is_triggered() {
            return Ok(Exit::Done);
        }
        if arguments.exit_when_done {
            return Ok(exit);
        }
        context.output.talk("the run has ended; serving on, Ctrl-C stops");
    }
    shutdown.triggered().await;
    Ok(Exit::Done)
}

fn show(ready: &Ready, context: &CommandContext) -> anyhow::Result<()> {
    context.output.data(ready, |ready| {
        let rows = [
            ["scheduler (gRPC)".to_owned(), ready.scheduler.clone()],
            ["producer (gRPC)".to_owned(), ready.producer.clone()],
            ["admin (/readyz, /metrics)".to_owned(), ready.admin.clone().unwrap_or_else(|| "off".to_owned())],
            ["workers".to_owned(), format!("{} in this process", ready.workers)],
            ["data".to_owned(), ready.data_dir.display().to_string()],
        ];
        let address = ready.scheduler.trim_start_matches("http://");
        let addresses = table(["WHAT", "WHERE"], &rows);
        format!(
            "Paceline is ready after {} ms\n\n{addresses}\n\nTry it:\n  grpcurl -plaintext -d '{{\"jobs\":1000,\"per_minutes\":1}}' {address} paceline.v1.SchedulerService/StartRun\n  paceline run start --jobs 1000 --per-minutes 1\n",
            ready.ready_ms
        )
    })
}

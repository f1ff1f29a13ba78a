//! `paceline scheduler`, `producer` and `worker`: one role in this process, on the configured services.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use paceline_adapters::resolve::{self, Backends, Connections};
use paceline_core::clock::{SharedClock, SystemClock};
use paceline_core::policy::Policy;
use paceline_core::ports::Ledger;
use paceline_core::ports::broker::PREFETCH_DEFAULT;
use paceline_core::{Error, Result, ids};
use paceline_runtime::admin::{self, Shown};
use paceline_runtime::auth::{RequireToken, check_bind};
use paceline_runtime::grpc;
use paceline_runtime::lifecycle::Shutdown;
use paceline_runtime::protocol::{self, Build, RequireProtocol};
use paceline_runtime::readiness::Readiness;
use paceline_runtime::settings::Settings;
use paceline_runtime::telemetry::metrics::{Metrics, metered};
use paceline_runtime::telemetry::traces::Traces;
use paceline_scheduler::{Caller, Context as SchedulerContext, Producers};
use paceline_worker::{BATCH_MAX_DEFAULT, Config, GRACE_DEFAULT, consumers_default};
use tokio::net::TcpListener;

use crate::autoscale::{self, Autoscale};
use crate::connections::connections;
use crate::context::Context;
use crate::exit::Exit;
use crate::flags::{AdminFlags, StopFlag};
use crate::in_process::{self, Limits};
use crate::observed::observed;
use crate::roles::{DEFAULT_PRODUCER, DEFAULT_SCHEDULER, limits, process_name, rules, url};
use crate::waiting::connected;

#[derive(Debug, Args)]
pub struct Listen {
    /// Address of the gRPC server; port 0 picks a free one, which is printed
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<SocketAddr>,
    #[command(flatten)]
    admin: AdminFlags,
    #[command(flatten)]
    stop: StopFlag,
    /// Name of this process in leases, counts and logs [default: host, process id and a random part]
    #[arg(long, value_name = "NAME")]
    id: Option<String>,
}

#[derive(Debug, Args)]
pub struct Scheduler {
    #[command(flatten)]
    listen: Listen,
    /// Where the producers are, separated by commas; a name stands for all of its addresses, as they come and go
    /// (PACELINE_PRODUCERS) [default: http://127.0.0.1:50052]
    #[arg(long, value_name = "URLS")]
    producers: Option<String>,
    /// Ready jobs of a queue above which no more are enqueued (PACELINE_HIGH_WATER) [default: 1000000]
    #[arg(long, value_name = "JOBS", value_parser = clap::value_parser!(u64).range(1..))]
    high_water: Option<u64>,
}

#[derive(Debug, Args)]
pub struct ProducerArguments {
    #[command(flatten)]
    listen: Listen,
}

#[derive(Debug, Args)]
pub struct Worker {
    /// Consume only these queues [default: all that are configured]
    #[arg(long = "queue", value_name = "QUEUE")]
    queues: Vec<String>,
    /// Consumers a queue, each on a channel of its own [default: as many as hold 1,280 jobs
    /// together, 4 to 128, and fewer with many queues]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    consumers: Option<u32>,
    /// Unacknowledged jobs a consumer may hold
    #[arg(long, value_name = "N", default_value_t = PREFETCH_DEFAULT, value_parser = clap::value_parser!(u16).range(1..))]
    prefetch: u16,
    /// The most documents in one request to the sink
    #[arg(long, value_name = "N", default_value_t = BATCH_MAX_DEFAULT as u32, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    batch: u32,
    /// Threads; more than one pays only for handlers that compute, otherwise start more workers
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: u16,
    /// Seconds that a stop may take to finish what is held
    #[arg(long, value_name = "SECONDS", default_value_t = GRACE_DEFAULT.as_secs_f64(), value_parser = seconds)]
    grace: f64,
    #[command(flatten)]
    admin: AdminFlags,
    #[command(flatten)]
    stop: StopFlag,
    /// Name of this worker in documents, counts and logs [default: host, process id and a random part]
    #[arg(long, value_name = "NAME")]
    id: Option<String>,
    #[command(flatten)]
    autoscale: Autoscale,
}

impl Worker {
    pub fn threads(&self) -> usize {
        self.threads.into()
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| "must be a number of seconds".to_owned())?;
    if (0.0..=3600.0).contains(&seconds) { Ok(seconds) } else { Err("must be 0 to 3600".to_owned()) }
}

pub async fn scheduler(arguments: Scheduler, context: &Context) -> anyhow::Result<Exit> {
    let (settings, shutdown) = (&context.settings, arguments.listen.stop.shutdown()?);
    let id = name(arguments.listen.id.as_deref(), "scheduler")?;
    let settings = &Settings {
        producers: arguments.producers.unwrap_or(settings.producers.clone()),
        high_water: arguments.high_water.unwrap_or(settings.high_water),
        ..settings.clone()
    };
    settings.check()?;
    let caller = Caller::new(Build::THIS.protocol, settings.token.as_deref())?;
    let listener = bind(&arguments.listen, settings, DEFAULT_SCHEDULER).await?;
    let producers = Producers::remote(&settings.producer_addresses(), caller)?;
    let port = arguments.listen.admin.bind(admin::SCHEDULER_PORT, settings).await?;
    announce(context, "scheduler", Some(&listener), port.as_ref())?;
    let readiness = Readiness::new("scheduler", &id);
    let name = ("scheduler", &*id.clone());
    let work = async |traces, metrics: Metrics| {
        let shown = shown(context, &readiness, &metrics);
        let role = Box::pin(schedule((id, traces, metrics), settings, producers, listener, (readiness, shutdown)));
        Ok(admin::beside(port, shown, settings.token.as_deref(), role).await?)
    };
    observed(context, name, None, work).await?;
    Ok(Exit::Done)
}

async fn schedule(
    (id, traces, metrics): (String, Traces, Metrics),
    settings: &Settings,
    producers: Producers,
    listener: TcpListener,
    (readiness, shutdown): (Readiness, Shutdown),
) -> Result<()> {
    let (at, clock) = (connections(settings), SystemClock::shared());
    let watched = (&readiness, &shutdown);
    let Some(ledger) = connected("ledger", watched, || checked_ledger(&at, &clock)).await? else { return Ok(()) };
    let Some(sink) = connected("sink", watched, || resolve::sink(&at, clock.clone())).await? else { return Ok(()) };
    let (ledger, sink) = (metered::ledger(ledger, &metrics), metered::sink(sink, &metrics));
    let (group, producers) = (settings.group.clone(), Arc::new(producers));
    let (rules, limits) = (rules(settings), limits(settings));
    let context = SchedulerContext { id, group, ledger, sink, producers, clock, rules, limits, traces, metrics };
    paceline_scheduler::run(context, readiness, listener, RequireToken::new(settings.token.as_deref()), shutdown).await
}

pub async fn producer(arguments: ProducerArguments, context: &Context) -> anyhow::Result<Exit> {
    let (settings, shutdown) = (&context.settings, arguments.listen.stop.shutdown()?);
    let id = name(arguments.listen.id.as_deref(), "producer")?;
    let listener = bind(&arguments.listen, settings, DEFAULT_PRODUCER).await?;
    let port = arguments.listen.admin.bind(admin::PRODUCER_PORT, settings).await?;
    announce(context, "producer", Some(&listener), port.as_ref())?;
    let readiness = Readiness::new("producer", &id);
    let name = ("producer", &*id.clone());
    let work = async |traces, metrics: Metrics| {
        let shown = shown(context, &readiness, &metrics);
        let role = Box::pin(produce((id, traces, metrics), settings, listener, (readiness, shutdown)));
        Ok(admin::beside(port, shown, settings.token.as_deref(), role).await?)
    };
    observed(context, name, None, work).await?;
    Ok(Exit::Done)
}

async fn produce(
    (id, traces, metrics): (String, Traces, Metrics),
    settings: &Settings,
    listener: TcpListener,
    (readiness, shutdown): (Readiness, Shutdown),
) -> Result<()> {
    let (at, clock) = (connections(settings), SystemClock::shared());
    let watched = (&readiness, &shutdown);
    let Some(ledger) = connected("ledger", watched, || checked_ledger(&at, &clock)).await? else { return Ok(()) };
    let Some(broker) = connected("broker", watched, || resolve::broker(&at, clock.clone())).await? else {
        return Ok(());
    };
    let producer = in_process::measured_producer(&id, settings, (broker, ledger), &clock, (&traces, &metrics));
    let callers = RequireProtocol::new(Build::THIS, RequireToken::new(settings.token.as_deref()));
    paceline_producer::run(producer, readiness, listener, callers, shutdown).await
}

pub async fn worker(arguments: Worker, context: &Context) -> anyhow::Result<Exit> {
    let (settings, shutdown) = (&context.settings, arguments.stop.shutdown()?);
    let queues = queues(&arguments.queues, settings)?;
    if let Some(range) = arguments.autoscale.autoscale {
        return supervise(range, queues.into_iter().collect(), arguments, context, shutdown).await;
    }
    let id = name(arguments.id.as_deref(), "worker")?;
    let port = arguments.admin.bind(admin::WORKER_PORT, settings).await?;
    announce(context, "worker", None, port.as_ref())?;
    let readiness = Readiness::new("worker", &id);
    let name = ("worker", &*id.clone());
    let working = async |traces, metrics: Metrics| {
        let shown = shown(context, &readiness, &metrics);
        let role = Box::pin(work((id, traces, metrics), queues, &arguments, settings, (readiness, shutdown)));
        Ok(admin::beside(port, shown, settings.token.as_deref(), role).await?)
    };
    observed(context, name, None, working).await?;
    Ok(Exit::Done)
}

/// Workers in processes of their own, instead of one in this process.
async fn supervise(
    range: autoscale::Range,
    queues: Vec<(String, Policy)>,
    arguments: Worker,
    context: &Context,
    shutdown: Shutdown,
) -> anyhow::Result<Exit> {
    arguments.admin.check_for_several(&context.settings)?;
    let said = BTreeMap::from([("role", "autoscaler".to_owned()), ("workers", range.to_string())]);
    context.output.data(&said, |_| format!("autoscaler of {range} workers"))?;
    let Worker { autoscale, id, grace, .. } = arguments;
    let workers = autoscale::Workers { queues, id, grace: Duration::from_secs_f64(grace) };
    autoscale::supervise(&autoscale, range, workers, context, shutdown).await
}

async fn work(
    (id, traces, metrics): (String, Traces, Metrics),
    queues: BTreeMap<String, Policy>,
    arguments: &Worker,
    settings: &Settings,
    (readiness, shutdown): (Readiness, Shutdown),
) -> Result<()> {
    let (at, clock) = (connections(settings), SystemClock::shared());
    let watched = (&readiness, &shutdown);
    let Some(ledger) = connected("ledger", watched, || checked_ledger(&at, &clock)).await? else { return Ok(()) };
    let Some(sink) = connected("sink", watched, || resolve::sink(&at, clock.clone())).await? else { return Ok(()) };
    let Some(broker) = connected("broker", watched, || resolve::broker(&at, clock.clone())).await? else {
        return Ok(());
    };
    let consumers = arguments
        .consumers
        .map_or_else(|| consumers_default(arguments.prefetch, queues.len()), |consumers| consumers as usize);
    tracing::info!(worker = id, queues = ?queues.keys().collect::<Vec<_>>(), consumers, prefetch = arguments.prefetch, "working");
    let limits = Limits {
        consumers,
        prefetch: arguments.prefetch,
        batch_max: arguments.batch as usize,
        grace: Duration::from_secs_f64(arguments.grace),
    };
    let backends = in_process::metered(&Backends { broker, sink, ledger }, &metrics);
    let config = Config { queues, traces, metrics, ..in_process::worker(id, settings, &backends, &clock, limits) };
    paceline_worker::run(config, readiness, shutdown).await
}

/// The view of a role on its admin port; from the beginning, also while its services are waited for.
fn shown(context: &Context, readiness: &Readiness, metrics: &Metrics) -> Shown {
    metrics.show_role(readiness);
    Shown { readiness: readiness.clone(), metrics: metrics.clone(), log: context.log.filter.clone() }
}

/// A ledger that can keep its promises, of a mesh that this build understands: any other is refused before anything is written to it.
async fn checked_ledger(at: &Connections, clock: &SharedClock) -> Result<Arc<dyn Ledger>> {
    let ledger = resolve::ledger(at, clock.clone()).await?;
    let found = ledger.check().await?;
    tracing::debug!(found, "ledger");
    protocol::join(ledger, &at.namespace, Build::THIS).await
}

async fn bind(listen: &Listen, settings: &Settings, default: &str) -> anyhow::Result<TcpListener> {
    let address = listen.listen.unwrap_or_else(|| default.parse().expect("the default is an address"));
    check_bind(address, settings.token.as_deref(), listen.admin.allow_anonymous)?;
    Ok(grpc::bind(address).await?)
}

/// The addresses on stdout: with port 0, or a default one that was taken, a script needs them.
fn announce(
    context: &Context,
    role: &str,
    listener: Option<&TcpListener>,
    admin: Option<&TcpListener>,
) -> anyhow::Result<()> {
    let mut data = BTreeMap::from([("role", role.to_owned())]);
    let mut text = role.to_owned();
    if let Some(listener) = listener {
        let address = url(listener)?;
        text += &format!(" {address}");
        data.insert("address", address);
    }
    if let Some(admin) = admin {
        let address = url(admin)?;
        text += &format!(" admin {address}");
        data.insert("admin", address);
    }
    context.output.data(&data, |_| text)
}

/// The default is of this process alone, wherever it runs.
fn name(asked: Option<&str>, role: &str) -> Result<String> {
    let name = asked.map_or_else(|| process_name(role), str::to_owned);
    ids::check_name("id", &name).map(|()| name)
}

fn queues(asked: &[String], settings: &Settings) -> Result<BTreeMap<String, Policy>> {
    if asked.is_empty() {
        return Ok(settings.queues.clone());
    }
    let one = |queue: &String| match settings.queues.get(queue) {
        Some(policy) => Ok((queue.clone(), *policy)),
        None => {
            let known = settings.queues.keys().cloned().collect::<Vec<_>>().join(", ");
            Err(Error::invalid_field("queue", format!("{queue:?} is not configured; there are: {known}")))
        }
    };
    asked.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_asked_for_is_kept_and_a_default_one_is_never_twice_the_same() {
        assert_eq!(name(Some("worker-7"), "worker").unwrap(), "worker-7");
        assert!(name(Some("No Name"), "worker").is_err());
        // The same host and the same process id, as in two containers.
        for role in ["scheduler", "producer", "worker"] {
            assert_ne!(name(None, role).unwrap(), name(None, role).unwrap());
        }
    }
}

//! `paceline worker`: one worker in this process, or with `--autoscale` several in processes of their own.

use std::collections::BTreeMap;
use std::time::Duration;

use paceline_core::error::codes;
use paceline_core::policy::Policy;
use paceline_core::ports::Backends;
use paceline_core::{Error, Result};
use paceline_node::Node;
use paceline_runtime::admin;
use paceline_runtime::settings::Settings;

use super::arguments::{ProcessFlags, WorkerArguments};
use super::process::Process;
use crate::autoscale;
use crate::context::CommandContext;
use crate::exit::Exit;

/// Works until a stop; waits for ledger, sink and broker at the start.
pub async fn worker(arguments: WorkerArguments, context: &CommandContext) -> anyhow::Result<Exit> {
    let settings = &context.settings;
    let queues = queues(&arguments.queues, settings)?;
    if let Some(range) = arguments.autoscale.autoscale {
        return supervise(range, queues.into_iter().collect(), arguments, context).await;
    }
    let process = Process::new("worker", &arguments.process, settings, context)?;
    let admin = arguments.process.admin.bind(admin::WORKER_PORT, settings).await?;
    process
        .run(None, admin, async |node: Node| {
            let Some(ledger) = process.ledger().await? else { return Ok(()) };
            let Some(sink) = process.sink().await? else { return Ok(()) };
            let Some(broker) = process.broker().await? else { return Ok(()) };
            let (backends, setup) = (Backends { broker, sink, ledger }, arguments.setup(queues.len()));
            let (worker, names) = (&process.id, queues.keys().collect::<Vec<_>>());
            tracing::info!(worker, queues = ?names, consumers = setup.consumers, prefetch = setup.prefetch, "working");
            let role = Node { queues, ..node }.worker(worker, backends, setup, process.readiness.clone());
            role.run(process.shutdown.clone()).await
        })
        .await
}

/// Workers in processes of their own, instead of one in this process.
async fn supervise(
    range: autoscale::WorkerBounds,
    queues: Vec<(String, Policy)>,
    arguments: WorkerArguments,
    context: &CommandContext,
) -> anyhow::Result<Exit> {
    arguments.process.admin.check_for_several(&context.settings)?;
    let WorkerArguments { autoscale, process: ProcessFlags { id, stop, .. }, grace, .. } = arguments;
    // A stop that comes as soon as the line below is read finds its handler.
    let shutdown = stop.shutdown()?;
    let said = BTreeMap::from([("role", "autoscaler".to_owned()), ("workers", range.to_string())]);
    context.output.data(&said, |_| format!("autoscaler of {range} workers"))?;
    let workers = autoscale::WorkerFleet { queues, id, grace: Duration::from_secs_f64(grace) };
    autoscale::supervise(&autoscale, range, workers, context, shutdown).await
}

fn queues(asked: &[String], settings: &Settings) -> Result<BTreeMap<String, Policy>> {
    if asked.is_empty() {
        return Ok(settings.queues.clone());
    }
    let one = |queue: &String| match settings.queues.get(queue) {
        Some(policy) => Ok((queue.clone(), *policy)),
        None => {
            let known = settings.queues.keys().cloned().collect::<Vec<_>>().join(", ");
            Err(Error::invalid_field("queue", format!("{queue:?} is not configured; there are: {known}"))
                .coded(codes::QUEUE_UNKNOWN))
        }
    };
    asked.iter().map(one).collect()
}

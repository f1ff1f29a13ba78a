//! `paceline scheduler`.

use paceline_node::Node;
use paceline_runtime::admin;
use paceline_runtime::protocol::Build;
use paceline_runtime::settings::Settings;
use paceline_scheduler::{Caller, Producers};

use super::arguments::SchedulerArguments;
use super::process::{Process, bind};
use crate::context::CommandContext;
use crate::exit::Exit;
use crate::roles::DEFAULT_SCHEDULER;

/// Serves until a stop; waits for ledger and sink at the start.
pub async fn scheduler(arguments: SchedulerArguments, context: &CommandContext) -> anyhow::Result<Exit> {
    let SchedulerArguments { listen, producers, high_water } = arguments;
    let settings = &Settings {
        producers: producers.unwrap_or(context.settings.producers.clone()),
        high_water: high_water.unwrap_or(context.settings.high_water),
        ..context.settings.clone()
    };
    settings.check()?;
    let process = Process::new("scheduler", &listen.process, settings, context)?;
    let caller = Caller::new(Build::THIS.protocol, settings.token.as_deref())?;
    let listener = bind(&listen, settings, DEFAULT_SCHEDULER).await?;
    let producers = Producers::remote(&settings.producer_addresses(), caller)?;
    let admin = listen.process.admin.bind(admin::SCHEDULER_PORT, settings).await?;
    let address = listener.local_addr()?;
    process
        .run(Some(address), admin, async |node: Node| {
            let Some(ledger) = process.ledger().await? else { return Ok(()) };
            let Some(sink) = process.sink().await? else { return Ok(()) };
            let role = node.scheduler(&process.id, ledger, sink, producers, process.readiness.clone());
            role.run(listener, process.shutdown.clone()).await
        })
        .await
}

//! `paceline producer`.

use paceline_node::Node;
use paceline_runtime::admin;

use super::arguments::ProducerArguments;
use super::process::{Process, bind};
use crate::context::CommandContext;
use crate::exit::Exit;
use crate::roles::DEFAULT_PRODUCER;

/// Serves until a stop; waits for ledger and broker at the start.
pub async fn producer(arguments: ProducerArguments, context: &CommandContext) -> anyhow::Result<Exit> {
    let (ProducerArguments { listen }, settings) = (arguments, &context.settings);
    let process = Process::new("producer", &listen.process, settings, context)?;
    let listener = bind(&listen, settings, DEFAULT_PRODUCER).await?;
    let admin = listen.process.admin.bind(admin::PRODUCER_PORT, settings).await?;
    let address = listener.local_addr()?;
    process
        .run(Some(address), admin, async |node: Node| {
            let Some(ledger) = process.ledger().await? else { return Ok(()) };
            let Some(broker) = process.broker().await? else { return Ok(()) };
            let role = node.producer(&process.id, broker, ledger, process.readiness.clone());
            role.run(listener, process.shutdown.clone()).await
        })
        .await
}

//! `paceline bench …`: measures Paceline on whatever services the settings name, in a namespace of its own, and proves the run.
//!
//! On services each role is a process of its own, as in production; on embedded adapters, whose files have one opener, every
//! role is in this process. [`fill`] and [`flow`] make a run, [`track`] follows it, [`usage`] reads what it cost.

mod drain;
mod fill;
mod flow;
mod inside;
mod latency;
mod load;
mod pipeline;
mod probe;
mod report;
mod roles;
mod stage;
mod tally;
mod track;
mod usage;

use clap::Subcommand;
use paceline_runtime::lifecycle::Shutdown;

use super::Context;
use crate::exit::Exit;
use report::Report;
use roles::Roles;
use stage::Stage;

/// What to measure. The exit code is 1 if the run cannot be proved afterwards.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// How fast workers empty a full queue
    Drain(drain::Arguments),
    /// How fast jobs go through every role at once, or how well a rate is kept
    Pipeline(pipeline::Arguments),
    /// How long a job takes from due to stored at a modest rate
    Latency(latency::Arguments),
}

pub async fn execute(command: Command, context: &Context) -> anyhow::Result<Exit> {
    let shutdown = Shutdown::on_signal()?;
    let Some(stage) = shutdown.or(Stage::open(context)).await.transpose()? else { return Ok(Exit::Interrupted) };
    let mut roles = Roles::new(&stage);
    let measured = shutdown.or(Box::pin(measure(command, &stage, &mut roles))).await;
    roles.stop().await;
    stage.close().await;
    let Some(report) = measured.transpose()? else { return Ok(Exit::Interrupted) };
    context.output.data(&report, report::text)?;
    Ok(if report.verified == Some(false) { Exit::No } else { Exit::Done })
}

async fn measure(command: Command, stage: &Stage, roles: &mut Roles<'_>) -> anyhow::Result<Report> {
    match command {
        Command::Drain(arguments) => drain::measure(&arguments, stage, roles).await,
        Command::Pipeline(arguments) => pipeline::measure(&arguments, stage, roles).await,
        Command::Latency(arguments) => latency::measure(&arguments, stage, roles).await,
    }
}

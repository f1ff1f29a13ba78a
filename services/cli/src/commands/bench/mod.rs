//! `paceline bench …`: measures Paceline on whatever services the settings name, in a namespace of its own, and proves the run.
//!
//! On services each role is a process of its own, as in production; on embedded adapters, whose files have one opener, every
//! role is in this process. [`fill`] and [`flow`] make a run, [`track`] follows it, [`usage`] reads what it cost, [`logs`]
//! hears what was warned of, [`belongings`] removes everything at the end.

mod belongings;
mod drain;
mod fill;
mod flow;
mod inside;
mod latency;
mod left;
mod load;
mod logs;
mod machine;
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

use crate::context::Context;
use crate::exit::Exit;
use belongings::Belongings;
use report::Report;
use roles::Roles;
use stage::Stage;

/// The modes.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// How fast workers empty a full queue
    Drain(drain::Arguments),
    /// How fast jobs go through every role at once, or how well a rate is kept
    Pipeline(pipeline::Arguments),
    /// How long a job takes from due to stored at a modest rate
    Latency(latency::Arguments),
}

impl Command {
    fn keeps(&self) -> bool {
        match self {
            Self::Drain(arguments) => arguments.load.keep,
            Self::Pipeline(arguments) => arguments.load.keep,
            Self::Latency(arguments) => arguments.load.keep,
        }
    }

    /// Jobs that may wait in the queue at once because nobody asked for a pace.
    fn backlog_max(&self) -> u64 {
        match self {
            Self::Pipeline(arguments) if arguments.rate.is_none() => arguments.jobs,
            Self::Drain(_) | Self::Pipeline(_) | Self::Latency(_) => 0,
        }
    }
}

pub async fn execute(command: Command, context: &Context) -> anyhow::Result<Exit> {
    let (shutdown, belongings) = (Shutdown::on_signal()?.also_on_hangup()?, Belongings::new(&context.settings));
    context.output.talk(format!("measuring in namespace {}", belongings.settings.namespace));
    let keeps = command.keeps();
    let measured = perform(command, context, &belongings, &shutdown).await;
    let is_tidy = tidy_up(context, &belongings, keeps, matches!(measured, Ok(Some(_)))).await;
    let Some(report) = measured? else { return Ok(Exit::Interrupted) };
    context.output.data(&report, report::text)?;
    let is_well = report.verified != Some(false) && report.warnings.count == 0;
    Ok(if is_well && is_tidy { Exit::Done } else { Exit::No })
}

/// `None`: interrupted. Every role has ended when this returns.
async fn perform(
    command: Command,
    context: &Context,
    belongings: &Belongings,
    shutdown: &Shutdown,
) -> anyhow::Result<Option<Report>> {
    let Some(mut stage) = shutdown.or(Stage::open(context, belongings)).await.transpose()? else { return Ok(None) };
    // To be held back is a warning, and says nothing where nobody asked for a pace.
    stage.settings.high_water = stage.settings.high_water.max(command.backlog_max());
    let (mut roles, keeps) = (Roles::new(&stage), command.keeps());
    let measured = shutdown.or(Box::pin(measure(command, &stage, &mut roles))).await;
    if measured.is_none() {
        stage.talk(match keeps {
            true => "stopping the roles; a second signal leaves them",
            false => "stopping the roles, then removing what was made; a second signal leaves both",
        });
    }
    let warnings = roles.stop().await;
    Ok(measured.transpose()?.map(|report| Report { warnings, ..report }))
}

async fn measure(command: Command, stage: &Stage, roles: &mut Roles<'_>) -> anyhow::Result<Report> {
    match command {
        Command::Drain(arguments) => drain::measure(&arguments, stage, roles).await,
        Command::Pipeline(arguments) => pipeline::measure(&arguments, stage, roles).await,
        Command::Latency(arguments) => latency::measure(&arguments, stage, roles).await,
    }
}

/// Answers whether what is left is what shall be left; it is named either way.
async fn tidy_up(context: &Context, belongings: &Belongings, keeps: bool, is_quiet: bool) -> bool {
    // Without a beginning there is nothing on a service, and nothing that anybody wants to look at.
    let has_begun = belongings.has_begun();
    let is_quiet = is_quiet || !has_begun;
    if keeps && has_begun {
        belongings.all().iter().for_each(|left| context.output.talk(format!("kept {left}")));
        return true;
    }
    if !is_quiet {
        context.output.talk("removing what was made; a second signal leaves it");
    }
    let failures = belongings.remove(is_quiet).await;
    for (left, error) in &failures {
        context.output.talk(format!("✗ not removed, {error}: {left}"));
    }
    failures.is_empty()
}

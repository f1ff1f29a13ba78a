//! The commands, one file each. Every one takes the [`Context`] and answers how the process ends.

mod admin_flags;
pub mod bench;
pub mod completions;
mod connections;
pub mod dev;
pub mod doctor;
pub mod health;
pub mod plan;
pub mod run;
mod scale;
pub mod serve;
mod stop_flag;
pub mod trace;
pub mod verify;
pub mod watch;

use clap::Subcommand;
use paceline_runtime::settings::Settings;
use paceline_runtime::telemetry::Log;

use crate::exit::Exit;
use crate::options::Global;
use crate::output::Output;

/// What every command gets.
#[derive(Debug)]
pub struct Context {
    pub settings: Settings,
    pub output: Output,
    /// Named on the command line, so this scheduler and no other way shall answer.
    pub server_is_explicit: bool,
    /// The log of this process, and its warnings.
    pub log: Log,
}

impl Context {
    pub fn new(global: &Global, settings: Settings, log: Log) -> Self {
        let output = Output { json: global.json };
        Self { settings, output, server_is_explicit: global.server.is_some(), log }
    }
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Everything in one process, nothing to install
    Dev(dev::Arguments),
    /// Keep the pace of runs and answer the API
    Scheduler(serve::Scheduler),
    /// Publish the jobs of runs
    Producer(serve::ProducerArguments),
    /// Do the jobs: consume, handle, store, count, acknowledge
    Worker(serve::Worker),
    /// Start, change, show and watch runs
    #[command(subcommand)]
    Run(run::Command),
    /// How many workers a queue needs
    #[command(subcommand)]
    Scale(scale::Command),
    // Its help is with its arguments: it says whom it asks.
    Verify(verify::Arguments),
    // Its help is with its arguments.
    Trace(trace::Arguments),
    /// Reach everything that Paceline needs and say what to do about the rest
    Doctor(doctor::Arguments),
    // Its help is with its arguments.
    Health(health::Arguments),
    /// Measure Paceline on the configured services, in a namespace of its own, and prove the run
    ///
    /// Exit code 1: the run is not proved, something warned meanwhile, or something made by it could not be removed. What it
    /// makes is named `bench-…` and removed at the end; `--namespace` does not apply.
    #[command(subcommand)]
    Bench(bench::Command),
    // Its help is with its arguments.
    Plan(plan::Arguments),
    /// Print what a shell needs to complete commands and options
    Completions(completions::Completions),
    /// Write a man page for each command
    Man(completions::Man),
}

impl Command {
    /// The end of a command that needs no settings, which may be broken, and nobody else; `None` for all others.
    pub fn alone(&self, output: Output) -> Option<anyhow::Result<Exit>> {
        match self {
            Self::Plan(arguments) => Some(plan::execute(arguments, output)),
            Self::Completions(arguments) => Some(completions::completions(arguments)),
            Self::Man(arguments) => Some(completions::man(arguments, output)),
            _ => None,
        }
    }

    pub async fn execute(self, context: &Context) -> anyhow::Result<Exit> {
        match self {
            Self::Dev(arguments) => dev::execute(arguments, context).await,
            Self::Scheduler(arguments) => serve::scheduler(arguments, context).await,
            Self::Producer(arguments) => serve::producer(arguments, context).await,
            Self::Worker(arguments) => serve::worker(arguments, context).await,
            Self::Run(command) => run::execute(command, context).await,
            Self::Scale(command) => scale::execute(command, context).await,
            Self::Verify(arguments) => verify::execute(arguments, context).await,
            Self::Trace(arguments) => trace::execute(arguments, context).await,
            Self::Doctor(arguments) => doctor::execute(arguments, context).await,
            Self::Health(arguments) => health::execute(arguments, context).await,
            Self::Bench(command) => Box::pin(bench::execute(command, context)).await,
            Self::Plan(_) | Self::Completions(_) | Self::Man(_) => unreachable!("they end alone"),
        }
    }

    /// How many threads run the tasks; `None`: one a core.
    pub fn threads(&self) -> Option<usize> {
        match self {
            Self::Worker(arguments) => Some(arguments.threads()),
            // Asked for every few seconds, beside a role that needs the processors.
            Self::Health(_) => Some(1),
            _ => None,
        }
    }

    /// Its output is the answer to a person, rather than the log of a process that serves.
    pub fn answers_a_person(&self) -> bool {
        match self {
            Self::Dev(_)
            | Self::Run(_)
            | Self::Scale(_)
            | Self::Verify(_)
            | Self::Trace(_)
            | Self::Doctor(_)
            | Self::Health(_)
            | Self::Bench(_)
            | Self::Plan(_)
            | Self::Completions(_)
            | Self::Man(_) => true,
            Self::Scheduler(_) | Self::Producer(_) | Self::Worker(_) => false,
        }
    }
}

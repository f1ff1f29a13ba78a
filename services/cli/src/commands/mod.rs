//! The commands, a file or folder for each, named after it. Each takes the [`CommandContext`] and answers how the process ends.
//!
//! A command may use the leaves beside this folder, and none of its parents.

pub mod bench;
pub mod completions;
pub mod dev;
pub mod doctor;
pub mod explain;
pub mod health;
pub mod plan;
pub mod run;
pub mod scale;
pub mod serve;
pub mod trace;
pub mod verify;

use clap::Subcommand;

use crate::context::CommandContext;
use crate::exit::Exit;
use crate::output::Output;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Everything in one process, nothing to install
    Dev(dev::DevArguments),
    /// Keep the pace of runs and answer the API
    Scheduler(serve::SchedulerArguments),
    /// Publish the jobs of runs
    Producer(serve::ProducerArguments),
    /// Do the jobs: consume, handle, store, count, acknowledge
    Worker(serve::WorkerArguments),
    /// Start, change, show and watch runs
    #[command(subcommand)]
    Run(run::RunCommand),
    /// How many workers a queue needs
    #[command(subcommand)]
    Scale(scale::ScaleCommand),
    // The help of a command without a line here is with its arguments.
    Verify(verify::VerifyArguments),
    Trace(trace::TraceArguments),
    /// Reach everything that Paceline needs and say what to do about the rest
    Doctor(doctor::DoctorArguments),
    Health(health::HealthArguments),
    /// Measure Paceline on the configured services, in a namespace of its own, and prove the run
    ///
    /// Exit code 1: the run is not proved, something warned meanwhile, or something made by it could not be removed. What it
    /// makes is named `bench-…` and removed at the end; `--namespace` does not apply.
    #[command(subcommand)]
    Bench(bench::BenchCommand),
    /// Explain the code of an error, and say what to do; without a code, list all codes
    Explain(explain::ExplainArguments),
    Plan(plan::PlanArguments),
    /// Print what a shell needs to complete commands and options
    Completions(completions::Completions),
    /// Write a man page for each command
    Man(completions::Man),
}

impl Command {
    /// Runs a command that needs neither settings, which may be broken, nor a service, and answers its end; `None` for all others.
    /// `definition` is that of the whole command line.
    pub fn alone(&self, output: Output, definition: fn() -> clap::Command) -> Option<anyhow::Result<Exit>> {
        match self {
            Self::Plan(arguments) => Some(plan::execute(arguments, output)),
            Self::Explain(arguments) => Some(explain::execute(arguments, output)),
            Self::Completions(arguments) => Some(completions::completions(arguments, definition())),
            Self::Man(arguments) => Some(completions::man(arguments, definition(), output)),
            _ => None,
        }
    }

    pub async fn execute(self, context: &CommandContext) -> anyhow::Result<Exit> {
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
            Self::Bench(command) => bench::execute(command, context).await,
            Self::Plan(_) | Self::Explain(_) | Self::Completions(_) | Self::Man(_) => unreachable!("they end alone"),
        }
    }

    /// The number of threads that run the tasks; `None`: one a core.
    pub fn threads(&self) -> Option<usize> {
        match self {
            Self::Worker(arguments) => Some(arguments.threads()),
            // Asked for every few seconds, beside a role that needs the processors.
            Self::Health(_) => Some(1),
            _ => None,
        }
    }

    /// True if the output is the answer to a person, rather than the log of a process that serves.
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
            | Self::Explain(_)
            | Self::Completions(_)
            | Self::Man(_) => true,
            Self::Scheduler(_) | Self::Producer(_) | Self::Worker(_) => false,
        }
    }
}

//! The commands, one file each. Every one takes the [`Context`] and answers how the process ends.

mod connections;
pub mod doctor;
pub mod run;
pub mod verify;
pub mod watch;

use clap::Subcommand;
use paceline_runtime::settings::Settings;

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
}

impl Context {
    pub fn new(global: &Global, settings: Settings) -> Self {
        Self { settings, output: Output { json: global.json }, server_is_explicit: global.server.is_some() }
    }
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start, change, show and watch runs
    #[command(subcommand)]
    Run(run::Command),
    // Its help is with its arguments: it says whom it asks.
    Verify(verify::Arguments),
    /// Reach everything that Paceline needs and say what to do about the rest
    Doctor(doctor::Arguments),
}

impl Command {
    pub async fn execute(self, context: &Context) -> anyhow::Result<Exit> {
        match self {
            Self::Run(command) => run::execute(command, context).await,
            Self::Verify(arguments) => verify::execute(arguments, context).await,
            Self::Doctor(arguments) => doctor::execute(arguments, context).await,
        }
    }

    /// Its output is the answer to a person, rather than the log of a process that serves.
    pub fn answers_a_person(&self) -> bool {
        match self {
            Self::Run(_) | Self::Verify(_) | Self::Doctor(_) => true,
        }
    }
}

//! The flags of `paceline run …`. Here: what a person may type, and no call.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand, ValueEnum};
use paceline_core::run::RunState;

use crate::flags::minutes;

#[derive(Debug, Subcommand)]
pub enum RunCommand {
    /// Start a run and print its id
    Start(StartArguments),
    /// Change the rate, the total, or both, of a run that is going
    Update(UpdateArguments),
    /// Enqueue no more until it is resumed
    Pause(Named),
    /// Go on where the pause began, or after the run failed
    Resume(Named),
    /// Enqueue no more, let what is enqueued drain, and end
    Stop(Named),
    /// Show a run with its numbers
    Get(Named),
    /// Show runs, newest first
    List(ListArguments),
    /// Follow a run until it has ended; exit code 1 if it failed
    Watch(Named),
}

#[derive(Debug, Args)]
pub struct Named {
    /// A run's id, or `last`
    #[arg(value_name = "RUN")]
    pub run: String,
}

#[derive(Debug, Args)]
pub struct StartArguments {
    /// X of "X jobs every Y minutes"
    #[arg(long, value_name = "X", value_parser = clap::value_parser!(u64).range(1..))]
    pub jobs: u64,
    /// Y of "X jobs every Y minutes"; may have a fraction
    #[arg(long, value_name = "Y", value_parser = minutes)]
    pub per_minutes: f64,
    /// Stop at exactly this many jobs [default: go on until stopped]
    #[arg(long, value_name = "T", value_parser = clap::value_parser!(u64).range(1..))]
    pub total: Option<u64>,
    /// A configured queue [default: default]
    #[arg(long, default_value = "", hide_default_value = true)]
    pub queue: String,
    /// What does the jobs [default: record]
    #[arg(long, default_value = "", hide_default_value = true)]
    pub handler: String,
    /// A JSON object that every job gets; `-` reads stdin
    #[arg(long, value_name = "JSON", conflicts_with = "payload_file", allow_hyphen_values = true)]
    pub payload: Option<String>,
    /// A file with that JSON object; `-` reads stdin
    #[arg(long, value_name = "FILE")]
    pub payload_file: Option<PathBuf>,
    /// What happens to the jobs that an outage held back
    #[arg(long, value_enum, default_value = "all")]
    pub catch_up: CatchUpChoice,
    /// Idempotency key: the same one again answers the same run and starts no second one
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    pub request_id: String,
    /// Then follow it, as `run watch` does
    #[arg(long)]
    pub watch: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CatchUpChoice {
    /// They are sent, at no more than twice the rate
    All,
    /// They are left out
    Skip,
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("change").required(true).multiple(true).args(["jobs", "per_minutes", "total"]))]
pub struct UpdateArguments {
    /// A run's id, or `last`
    #[arg(value_name = "RUN")]
    pub run: String,
    /// The new X of "X jobs every Y minutes"
    #[arg(long, value_name = "X", requires = "per_minutes", value_parser = clap::value_parser!(u64).range(1..))]
    pub jobs: Option<u64>,
    /// The new Y
    #[arg(long, value_name = "Y", requires = "jobs", value_parser = minutes)]
    pub per_minutes: Option<f64>,
    /// The new total; `none` removes it
    #[arg(long, value_name = "T|none", value_parser = total_or_none)]
    pub total: Option<Total>,
}

/// A new total; `None` removes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Total(pub Option<u64>);

#[derive(Debug, Args)]
pub struct ListArguments {
    /// At most this many
    #[arg(long, value_name = "N", default_value = "100", value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: u32,
    /// Only those in this state
    #[arg(long, value_name = "STATE", value_parser = run_state)]
    pub state: Option<RunState>,
}

fn total_or_none(text: &str) -> Result<Total, String> {
    match text.parse() {
        _ if text == "none" => Ok(Total(None)),
        Ok(total) if total > 0 => Ok(Total(Some(total))),
        _ => Err("must be at least 1, or `none`".to_owned()),
    }
}

fn run_state(text: &str) -> Result<RunState, String> {
    let names = RunState::ALL.map(RunState::name).join(", ");
    RunState::parse(&text.to_ascii_uppercase()).ok_or_else(|| format!("must be one of {names}"))
}

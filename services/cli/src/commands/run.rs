//! `paceline run …`: the scheduler's gRPC API for people and scripts.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand, ValueEnum};
use paceline_core::run::RunState;
use paceline_proto::v1;
use paceline_runtime::settings::Settings;

use super::{Context, watch};
use crate::client::Scheduler;
use crate::exit::Exit;
use crate::payload;
use crate::views::{self, RunView};

/// The most runs that one page of the API holds.
const PAGE_RUNS_MAX: u32 = 1_000;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start a run and print its id
    Start(Start),
    /// Change the rate, the total, or both, of a run that is going
    Update(Update),
    /// Enqueue no more until it is resumed
    Pause(Named),
    /// Go on where the pause began, or after the run failed
    Resume(Named),
    /// Enqueue no more, let what is enqueued drain, and end
    Stop(Named),
    /// Show a run with its numbers
    Get(Named),
    /// Show runs, newest first
    List(List),
    /// Follow a run until it has ended; exit code 1 if it failed
    Watch(Named),
}

#[derive(Debug, Args)]
pub struct Named {
    /// A run's id, or `last`
    #[arg(value_name = "RUN")]
    run: String,
}

#[derive(Debug, Args)]
pub struct Start {
    /// X of "X jobs every Y minutes"
    #[arg(long, value_name = "X", value_parser = clap::value_parser!(u64).range(1..))]
    jobs: u64,
    /// Y of "X jobs every Y minutes"; may have a fraction
    #[arg(long, value_name = "Y", value_parser = minutes)]
    per_minutes: f64,
    /// Stop at exactly this many jobs [default: go on until stopped]
    #[arg(long, value_name = "T", value_parser = clap::value_parser!(u64).range(1..))]
    total: Option<u64>,
    /// A configured queue [default: default]
    #[arg(long, default_value = "", hide_default_value = true)]
    queue: String,
    /// What does the jobs [default: record]
    #[arg(long, default_value = "", hide_default_value = true)]
    handler: String,
    /// A JSON object that every job gets; `-` reads stdin
    #[arg(long, value_name = "JSON", conflicts_with = "payload_file", allow_hyphen_values = true)]
    payload: Option<String>,
    /// A file with that JSON object; `-` reads stdin
    #[arg(long, value_name = "FILE")]
    payload_file: Option<PathBuf>,
    /// What happens to the jobs that an outage held back
    #[arg(long, value_enum, default_value = "all")]
    catch_up: CatchUp,
    /// Idempotency key: the same one again answers the same run and starts no second one
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    request_id: String,
    /// Then follow it, as `run watch` does
    #[arg(long)]
    watch: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum CatchUp {
    /// They are sent, at no more than twice the rate
    All,
    /// They are left out
    Skip,
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("change").required(true).multiple(true).args(["jobs", "per_minutes", "total"]))]
pub struct Update {
    /// A run's id, or `last`
    #[arg(value_name = "RUN")]
    run: String,
    /// The new X of "X jobs every Y minutes"
    #[arg(long, value_name = "X", requires = "per_minutes", value_parser = clap::value_parser!(u64).range(1..))]
    jobs: Option<u64>,
    /// The new Y
    #[arg(long, value_name = "Y", requires = "jobs", value_parser = minutes)]
    per_minutes: Option<f64>,
    /// The new total; `none` removes it
    #[arg(long, value_name = "T|none", value_parser = total_or_none)]
    total: Option<Total>,
}

/// A new total; `None` removes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Total(Option<u64>);

#[derive(Debug, Args)]
pub struct List {
    /// At most this many
    #[arg(long, value_name = "N", default_value = "100", value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// Only those in this state
    #[arg(long, value_name = "STATE", value_parser = run_state)]
    state: Option<RunState>,
}

pub fn minutes(text: &str) -> Result<f64, String> {
    let minutes: f64 = text.parse().map_err(|_| "must be a number of minutes".to_owned())?;
    if minutes.is_finite() && minutes > 0.0 { Ok(minutes) } else { Err("must be above 0".to_owned()) }
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

pub async fn execute(command: Command, context: &Context) -> anyhow::Result<Exit> {
    let scheduler = Scheduler::new(&context.settings)?;
    match command {
        Command::Start(arguments) => return start(arguments, &scheduler, context).await,
        Command::Watch(Named { run }) => {
            return watch::execute(&scheduler, scheduler.resolve(&run).await?, context).await;
        }
        Command::List(arguments) => {
            let runs = list(&arguments, &scheduler).await?;
            context.output.data(&runs, |runs| views::list(runs))?;
        }
        Command::Get(Named { run }) => {
            let request = v1::GetRunRequest { run_id: scheduler.resolve(&run).await? };
            let run = scheduler.answer(scheduler.calls.clone().get_run(request).await)?.run;
            context.output.data(&view(run)?, RunView::text)?;
        }
        Command::Update(arguments) => changed(update(&arguments, &scheduler).await?, context)?,
        Command::Pause(Named { run }) => {
            let request = v1::PauseRunRequest { run_id: scheduler.resolve(&run).await? };
            changed(scheduler.answer(scheduler.calls.clone().pause_run(request).await)?.run, context)?;
        }
        Command::Resume(Named { run }) => {
            let request = v1::ResumeRunRequest { run_id: scheduler.resolve(&run).await? };
            changed(scheduler.answer(scheduler.calls.clone().resume_run(request).await)?.run, context)?;
        }
        Command::Stop(Named { run }) => {
            let request = v1::StopRunRequest { run_id: scheduler.resolve(&run).await? };
            changed(scheduler.answer(scheduler.calls.clone().stop_run(request).await)?.run, context)?;
        }
    }
    Ok(Exit::Done)
}

/// The id alone on stdout, so that a script can take it; the rest is talk.
fn changed(run: Option<v1::Run>, context: &Context) -> anyhow::Result<()> {
    let view = view(run)?;
    context.output.data(&view, |view| view.run_id.clone())?;
    if !context.output.json {
        context.output.talk(view.progress());
    }
    Ok(())
}

fn view(run: Option<v1::Run>) -> anyhow::Result<RunView> {
    Ok(run.ok_or_else(|| anyhow::anyhow!("the scheduler answered without a run; is it of another version?"))?.into())
}

async fn start(arguments: Start, scheduler: &Scheduler, context: &Context) -> anyhow::Result<Exit> {
    let watch = arguments.watch;
    let request = start_request(arguments)?;
    let run = scheduler.answer(scheduler.calls.clone().start_run(request).await)?.run;
    let run_id = run.as_ref().map(|run| run.run_id.clone()).unwrap_or_default();
    changed(run, context)?;
    if watch {
        return watch::execute(scheduler, run_id, context).await;
    }
    if !context.output.json {
        context
            .output
            .talk(format!("follow it with `paceline run watch {run_id}`, prove it with `paceline verify {run_id}`"));
    }
    Ok(Exit::Done)
}

/// For `paceline dev`: starts a plain run at the scheduler of `settings` and follows it to its end.
pub async fn start_and_follow(
    jobs: u64,
    per_minutes: f64,
    total: Option<u64>,
    settings: &Settings,
    context: &Context,
) -> anyhow::Result<Exit> {
    let scheduler = Scheduler::new(settings)?;
    let request = v1::StartRunRequest { jobs, per_minutes, total, ..Default::default() };
    let run = scheduler.answer(scheduler.calls.clone().start_run(request).await)?.run;
    let run_id = run.as_ref().map(|run| run.run_id.clone()).unwrap_or_default();
    changed(run, context)?;
    watch::execute(&scheduler, run_id, context).await
}

fn start_request(arguments: Start) -> anyhow::Result<v1::StartRunRequest> {
    let payload = payload::read(arguments.payload.as_deref(), arguments.payload_file.as_deref())?;
    let catch_up = match arguments.catch_up {
        CatchUp::All => v1::CatchUp::All,
        CatchUp::Skip => v1::CatchUp::Skip,
    };
    Ok(v1::StartRunRequest {
        jobs: arguments.jobs,
        per_minutes: arguments.per_minutes,
        total: arguments.total,
        queue: arguments.queue,
        handler: arguments.handler,
        payload,
        catch_up: catch_up.into(),
        request_id: arguments.request_id,
    })
}

async fn update(arguments: &Update, scheduler: &Scheduler) -> anyhow::Result<Option<v1::Run>> {
    let request = v1::UpdateRunRequest {
        run_id: scheduler.resolve(&arguments.run).await?,
        jobs: arguments.jobs,
        per_minutes: arguments.per_minutes,
        // On the wire 0 removes it.
        total: arguments.total.map(|Total(total)| total.unwrap_or(0)),
    };
    Ok(scheduler.answer(scheduler.calls.clone().update_run(request).await)?.run)
}

async fn list(arguments: &List, scheduler: &Scheduler) -> anyhow::Result<Vec<RunView>> {
    let limit = arguments.limit as usize;
    // A filter may need to look at many more runs than it lets through.
    let page_size = if arguments.state.is_some() { PAGE_RUNS_MAX } else { arguments.limit.min(PAGE_RUNS_MAX) };
    let mut runs: Vec<RunView> = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = v1::ListRunsRequest { page_size, page_token };
        let page = scheduler.answer(scheduler.calls.clone().list_runs(request).await)?;
        let wanted =
            page.runs.into_iter().filter(|run| arguments.state.is_none_or(|s| views::state(run.state) == Some(s)));
        runs.extend(wanted.take(limit - runs.len()).map(RunView::from));
        page_token = page.next_page_token;
        if runs.len() == limit || page_token.is_empty() {
            return Ok(runs);
        }
    }
}

#[cfg(test)]
#[path = "run_tests.rs"]
mod tests;

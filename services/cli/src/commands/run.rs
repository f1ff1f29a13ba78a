//! `paceline run …`: the scheduler's gRPC API for people and scripts.
//!
//! [`arguments`] are the flags, [`watch`] follows a run and [`display`] shows it.
//!
//! Here: calls of the API and how their answers are shown. It may use the client and the views, and no port.

mod arguments;
mod display;
#[cfg(test)]
mod tests;
mod watch;

pub use arguments::RunCommand;

use paceline_proto::v1;
use paceline_runtime::settings::Settings;

use crate::client::SchedulerClient;
use crate::context::CommandContext;
use crate::exit::Exit;
use crate::views::{self, RunView, payload};
use arguments::{CatchUpChoice, ListArguments, Named, StartArguments, Total, UpdateArguments};

/// The most runs that one page of the API holds.
const PAGE_RUNS_MAX: u32 = 1_000;

pub async fn execute(command: RunCommand, context: &CommandContext) -> anyhow::Result<Exit> {
    let scheduler = SchedulerClient::new(&context.settings)?;
    match command {
        RunCommand::Start(arguments) => return start(arguments, &scheduler, context).await,
        RunCommand::Watch(Named { run }) => {
            return watch::execute(&scheduler, scheduler.resolve(&run).await?, context).await;
        }
        RunCommand::List(arguments) => {
            let runs = list(&arguments, &scheduler).await?;
            context.output.data(&runs, |runs| views::list(runs))?;
        }
        RunCommand::Get(Named { run }) => {
            let request = v1::GetRunRequest { run_id: scheduler.resolve(&run).await? };
            let run = scheduler.answer(scheduler.calls.clone().get_run(request).await)?.run;
            context.output.data(&view(run)?, RunView::text)?;
        }
        change => changed(self::change(change, &scheduler).await?, context)?,
    }
    Ok(Exit::Done)
}

/// The run after a command that changes it.
async fn change(command: RunCommand, scheduler: &SchedulerClient) -> anyhow::Result<Option<v1::Run>> {
    let mut calls = scheduler.calls.clone();
    Ok(match command {
        RunCommand::Update(arguments) => update(&arguments, scheduler).await?,
        RunCommand::Pause(Named { run }) => {
            let request = v1::PauseRunRequest { run_id: scheduler.resolve(&run).await? };
            scheduler.answer(calls.pause_run(request).await)?.run
        }
        RunCommand::Resume(Named { run }) => {
            let request = v1::ResumeRunRequest { run_id: scheduler.resolve(&run).await? };
            scheduler.answer(calls.resume_run(request).await)?.run
        }
        RunCommand::Stop(Named { run }) => {
            let request = v1::StopRunRequest { run_id: scheduler.resolve(&run).await? };
            scheduler.answer(calls.stop_run(request).await)?.run
        }
        RunCommand::Start(_) | RunCommand::Watch(_) | RunCommand::List(_) | RunCommand::Get(_) => {
            unreachable!("these commands change no run that is there")
        }
    })
}

/// Prints the id alone on stdout, so that a script can take it; the rest is talk.
fn changed(run: Option<v1::Run>, context: &CommandContext) -> anyhow::Result<()> {
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

async fn start(
    arguments: StartArguments,
    scheduler: &SchedulerClient,
    context: &CommandContext,
) -> anyhow::Result<Exit> {
    let watch = arguments.watch;
    let run_id = started(start_request(arguments)?, scheduler, context).await?;
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

/// Starts a run, prints it and answers its id.
async fn started(
    request: v1::StartRunRequest,
    scheduler: &SchedulerClient,
    context: &CommandContext,
) -> anyhow::Result<String> {
    let run = scheduler.answer(scheduler.calls.clone().start_run(request).await)?.run;
    let run_id = run.as_ref().map(|run| run.run_id.clone()).unwrap_or_default();
    changed(run, context)?;
    Ok(run_id)
}

/// Starts a plain run at the scheduler of `settings` and follows it to its end, for `paceline dev`.
pub async fn start_and_follow(
    jobs: u64,
    per_minutes: f64,
    total: Option<u64>,
    settings: &Settings,
    context: &CommandContext,
) -> anyhow::Result<Exit> {
    let scheduler = SchedulerClient::new(settings)?;
    let request = v1::StartRunRequest { jobs, per_minutes, total, ..Default::default() };
    let run_id = started(request, &scheduler, context).await?;
    watch::execute(&scheduler, run_id, context).await
}

fn start_request(arguments: StartArguments) -> anyhow::Result<v1::StartRunRequest> {
    let payload = payload::read(arguments.payload.as_deref(), arguments.payload_file.as_deref())?;
    let catch_up = match arguments.catch_up {
        CatchUpChoice::All => v1::CatchUp::All,
        CatchUpChoice::Skip => v1::CatchUp::Skip,
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

async fn update(arguments: &UpdateArguments, scheduler: &SchedulerClient) -> anyhow::Result<Option<v1::Run>> {
    let request = v1::UpdateRunRequest {
        run_id: scheduler.resolve(&arguments.run).await?,
        jobs: arguments.jobs,
        per_minutes: arguments.per_minutes,
        // On the wire 0 removes it.
        total: arguments.total.map(|Total(total)| total.unwrap_or(0)),
    };
    Ok(scheduler.answer(scheduler.calls.clone().update_run(request).await)?.run)
}

async fn list(arguments: &ListArguments, scheduler: &SchedulerClient) -> anyhow::Result<Vec<RunView>> {
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

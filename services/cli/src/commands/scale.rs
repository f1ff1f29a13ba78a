//! `paceline scale explain`: the number of workers that the scheduler wants for a queue, and why: each number, its age and the arithmetic.

mod view;

use clap::{Args, Subcommand};
use paceline_core::scaling::{DRAIN_SECONDS_DEFAULT, JOBS_PER_SECOND_DEFAULT, WORKERS_MAX_DEFAULT};
use paceline_proto::v1::ExplainScaleRequest;
use paceline_proto::v1::scale_service_client::ScaleServiceClient;

use crate::client::SchedulerClient;
use crate::context::CommandContext;
use crate::exit::Exit;
use view::View;

#[derive(Debug, Subcommand)]
pub enum ScaleCommand {
    /// Say how many workers the scheduler wants for a queue, and why
    Explain(Explain),
}

#[derive(Debug, Args)]
pub struct Explain {
    /// The queue
    #[arg(long, value_name = "QUEUE", default_value = "default")]
    queue: String,
    /// The consumer group [default: the scheduler's]
    #[arg(long, value_name = "GROUP")]
    group: Option<String>,
    /// Seconds within which a backlog is to be done
    #[arg(long, value_name = "SECONDS", default_value_t = DRAIN_SECONDS_DEFAULT)]
    drain_seconds: f64,
    /// The fewest workers
    #[arg(long, value_name = "N", default_value_t = 0)]
    min: u32,
    /// The most workers
    #[arg(long, value_name = "N", default_value_t = WORKERS_MAX_DEFAULT, value_parser = clap::value_parser!(u32).range(1..))]
    max: u32,
    /// What one worker is taken to do a second where none has measured it
    #[arg(long, value_name = "JOBS", default_value_t = JOBS_PER_SECOND_DEFAULT)]
    jobs_per_second: f64,
}

pub async fn execute(ScaleCommand::Explain(arguments): ScaleCommand, context: &CommandContext) -> anyhow::Result<Exit> {
    let scheduler = SchedulerClient::new(&context.settings)?;
    let request = ExplainScaleRequest {
        queue: arguments.queue,
        group: arguments.group.unwrap_or_default(),
        drain_seconds: arguments.drain_seconds,
        min_workers: arguments.min,
        max_workers: arguments.max,
        jobs_per_second: arguments.jobs_per_second,
    };
    let mut calls = ScaleServiceClient::new(scheduler.patient.clone());
    let answer = scheduler.answer(calls.explain_scale(request).await)?;
    context.output.data(&View::from(answer), View::text)?;
    Ok(Exit::Done)
}

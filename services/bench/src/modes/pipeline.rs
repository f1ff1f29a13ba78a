//! `paceline bench pipeline`: producing and consuming at once, as fast as it goes or at a rate that it must keep.

use clap::Args;

use crate::load::LoadArguments;
use crate::report::BenchReport;
use crate::roles::Roles;
use crate::run::flow::{self, PER_MINUTE_MAX, Plan};
use crate::stage::Stage;

/// Far above what the services can do: 200,000 jobs a second.
const UNPACED_PER_MINUTE: u64 = 12_000_000;

#[derive(Debug, Args)]
pub struct PipelineArguments {
    /// Jobs of the run
    #[arg(long, value_name = "N", default_value_t = 200_000, value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    pub jobs: u64,
    /// Jobs a minute, and report how well that is kept [default: as fast as it goes]
    #[arg(long, value_name = "R", value_parser = clap::value_parser!(u64).range(1..=PER_MINUTE_MAX))]
    pub rate: Option<u64>,
    #[command(flatten)]
    pub load: LoadArguments,
}

pub async fn measure(
    arguments: &PipelineArguments,
    stage: &Stage,
    roles: &mut Roles<'_>,
) -> anyhow::Result<BenchReport> {
    let load = arguments.load.setup(stage.is_embedded());
    let plan = Plan { total: arguments.jobs, per_minute: arguments.rate.unwrap_or(UNPACED_PER_MINUTE) };
    let flow = flow::run(stage, roles, &plan, &load).await?;
    let verified = if load.verify { Some(stage.verify(&flow.run).await?) } else { None };
    let mut report = BenchReport::new("pipeline", stage, &flow.run, &flow.interval, load);
    report.with_probe(&flow.probe).with_tally(&flow.tally).with_memory(flow.memory);
    match arguments.rate {
        Some(rate) => _ = report.with_pace(rate as f64 / 60.0, flow.enqueued_per_second),
        None => report.without_latency(),
    }
    report.verified = verified;
    Ok(report)
}

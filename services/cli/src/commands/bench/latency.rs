//! `paceline bench latency`: a run at a rate well below capacity; how long from due to stored, and how fast GetRun answers.

use clap::Args;

use super::flow::{self, PER_MINUTE_MAX, Plan};
use super::load::Load;
use super::report::Report;
use super::roles::Roles;
use super::stage::Stage;

#[derive(Debug, Args)]
pub struct Arguments {
    /// Jobs a minute
    #[arg(long, value_name = "R", default_value_t = 60_000, value_parser = clap::value_parser!(u64).range(1..=PER_MINUTE_MAX))]
    rate: u64,
    /// How long
    #[arg(long, value_name = "S", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    seconds: u64,
    #[command(flatten)]
    pub load: Load,
}

impl Arguments {
    fn plan(&self) -> Plan {
        // A rate may be so low that not one job falls due: one is the least that can be measured.
        Plan { total: (self.rate * self.seconds / 60).max(1), per_minute: self.rate }
    }
}

pub async fn measure(arguments: &Arguments, stage: &Stage, roles: &mut Roles<'_>) -> anyhow::Result<Report> {
    let config = arguments.load.config(stage);
    let flow = flow::run(stage, roles, &arguments.plan(), &config).await?;
    let verified = if config.verify { Some(stage.verify(&flow.run).await?) } else { None };
    let mut report = Report::new("latency", stage, &flow.run, &flow.interval, config);
    report
        .with_probe(&flow.probe)
        .with_tally(&flow.tally)
        .with_memory(flow.memory)
        .with_pace(arguments.rate as f64 / 60.0, flow.enqueued_per_second);
    report.verified = verified;
    Ok(report)
}

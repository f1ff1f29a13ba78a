//! `paceline bench latency`: a run at a rate well below capacity; how long from due to stored, and how fast GetRun answers.

use clap::Args;

use crate::load::LoadArguments;
use crate::report::BenchReport;
use crate::roles::Roles;
use crate::run::flow::{self, PER_MINUTE_MAX, Plan};
use crate::stage::Stage;

#[derive(Debug, Args)]
pub struct LatencyArguments {
    /// Jobs a minute
    #[arg(long, value_name = "R", default_value_t = 60_000, value_parser = clap::value_parser!(u64).range(1..=PER_MINUTE_MAX))]
    rate: u64,
    /// How long
    #[arg(long, value_name = "S", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    seconds: u64,
    #[command(flatten)]
    pub load: LoadArguments,
}

impl LatencyArguments {
    fn plan(&self) -> Plan {
        // A rate may be so low that not one job falls due: one is the least that can be measured.
        Plan { total: (self.rate * self.seconds / 60).max(1), per_minute: self.rate }
    }
}

pub async fn measure(
    arguments: &LatencyArguments,
    stage: &Stage,
    roles: &mut Roles<'_>,
) -> anyhow::Result<BenchReport> {
    let load = arguments.load.setup(stage.is_embedded());
    let flow = flow::run(stage, roles, &arguments.plan(), &load).await?;
    let verified = if load.verify { Some(stage.verify(&flow.run).await?) } else { None };
    let mut report = BenchReport::new("latency", stage, &flow.run, &flow.interval, load);
    report
        .with_probe(&flow.probe)
        .with_tally(&flow.tally)
        .with_memory(flow.memory)
        .with_pace(arguments.rate as f64 / 60.0, flow.enqueued_per_second);
    report.verified = verified;
    Ok(report)
}

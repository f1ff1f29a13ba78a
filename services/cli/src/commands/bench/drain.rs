//! `paceline bench drain`: a queue is filled first, then workers empty it; measured from the first job to the last.

use clap::Args;
use paceline_core::Result;
use paceline_core::ids::RunId;

use super::fill::{Filled, fill};
use super::load::{Config, Load};
use super::probe::{self, Probe};
use super::report::{Fill, Report};
use super::roles::{PROCESS, Roles};
use super::stage::Stage;
use super::tally::Tally;
use super::track::{Interval, Memory, Moment, ended, follow};
use crate::client::Scheduler;

/// Snapshots are 50 ms apart: below this the ends of the interval are more than some percent of it.
const SECONDS_MIN: u64 = 1;

#[derive(Debug, Args)]
pub struct Arguments {
    /// Jobs in the queue
    #[arg(long, value_name = "N", default_value_t = 200_000, value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    jobs: u64,
    #[command(flatten)]
    pub load: Load,
}

pub async fn measure(arguments: &Arguments, stage: &Stage, roles: &mut Roles<'_>) -> anyhow::Result<Report> {
    let config = arguments.load.config(stage);
    let filled = fill(stage, arguments.jobs, &config).await?;
    // The scheduler ends the run and answers GetRun.
    let scheduler = roles.serve().await?;
    stage.talk("emptying it");
    let (interval, probe, memory) = empty(stage, roles, &scheduler, (&filled.run, arguments.jobs), &config).await?;
    let tally = Tally::read(stage, arguments.jobs).await?;
    let verified = if config.verify { Some(stage.verify(&filled.run).await?) } else { None };
    let mut report = Report::new("drain", stage, &filled.run, &interval, config);
    report.with_probe(&probe).with_tally(&tally).with_memory(memory);
    report.without_latency();
    report.verified = verified;
    add_fill(&mut report, &filled, arguments.jobs);
    Ok(report)
}

async fn empty(
    stage: &Stage,
    roles: &mut Roles<'_>,
    scheduler: &Scheduler,
    (run, jobs): (&RunId, u64),
    config: &Config,
) -> anyhow::Result<(Interval, Probe, Memory)> {
    roles.work(config)?;
    let (mut begin, mut end, mut memory) = (None, None, Memory::default());
    let following = follow(stage, roles, run, |snapshot, roles| {
        let ended = ended(snapshot);
        memory.see(ended, jobs, || roles.usage())?;
        if begin.is_none() && ended > 0 {
            begin = Some(Moment::now(stage, roles, ended)?);
        }
        if snapshot.is_drained() {
            end = Some(Moment::now(stage, roles, ended)?);
        }
        Ok(end.is_some())
    });
    let (followed, probe): (Result<_>, _) = probe::during(scheduler, run, following).await;
    followed?;
    let (begin, end) = begin.zip(end).expect("it was followed to its end");
    if end.at_ns - begin.at_ns < SECONDS_MIN * 1_000_000_000 {
        stage
            .talk(format!("emptied within {SECONDS_MIN} s of the first job: the numbers are coarse, take more --jobs"));
    }
    Ok((Interval { begin, end }, probe, memory))
}

/// The producer's part is that of the filling, which this process did.
fn add_fill(report: &mut Report, filled: &Filled, jobs: u64) {
    report.fill = Some(Fill { seconds: filled.seconds, jobs_per_second: jobs as f64 / filled.seconds.max(1e-9) });
    report.cpu_us_per_job.extend(filled.after.cpu_us_per_job(&filled.before, jobs));
    if !report.cpu_us_per_job.contains_key(PROCESS) {
        report.rss_peak_bytes.extend(filled.after.rss_peak_bytes.clone());
    }
}

//! `paceline bench drain`: a queue is filled first, then workers empty it; measured from the first job to the last.

use clap::Args;
use paceline_core::Result;
use paceline_core::ids::RunId;
use paceline_core::run::Snapshot;

use crate::load::LoadArguments;
use crate::numbers::interval::{Interval, Moment};
use crate::numbers::memory::Memory;
use crate::report::{BenchReport, Fill};
use crate::roles::{PROCESS, Roles, SchedulerCalls};
use crate::run::fill::{Filled, fill};
use crate::run::probe::{self, Probe};
use crate::run::track::{ended, follow, moment, tally};
use crate::stage::Stage;

/// Snapshots are 50 ms apart: below this the ends of the interval are more than some percent of it.
const SECONDS_MIN: u64 = 1;

#[derive(Debug, Args)]
pub struct DrainArguments {
    /// Jobs in the queue
    #[arg(long, value_name = "N", default_value_t = 200_000, value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    jobs: u64,
    #[command(flatten)]
    pub load: LoadArguments,
}

pub async fn measure(arguments: &DrainArguments, stage: &Stage, roles: &mut Roles<'_>) -> anyhow::Result<BenchReport> {
    let (jobs, load) = (arguments.jobs, arguments.load.setup(stage.is_embedded()));
    let filled = fill(stage, jobs, &load).await?;
    // The scheduler ends the run and answers GetRun.
    let scheduler = roles.serve().await?;
    stage.talk("emptying it");
    roles.work(&load)?;
    let drained = Drain::of(&filled.run, jobs).follow(stage, roles, &scheduler).await?;
    let tally = tally(stage, jobs).await?;
    let verified = if load.verify { Some(stage.verify(&filled.run).await?) } else { None };
    let mut report = BenchReport::new("drain", stage, &filled.run, &drained.interval, load);
    report.with_probe(&drained.probe).with_tally(&tally).with_memory(drained.memory);
    report.without_latency();
    report.verified = verified;
    add_fill(&mut report, &filled, jobs);
    Ok(report)
}

/// The emptying of a queue, as its snapshots show it.
struct Drain<'a> {
    run: &'a RunId,
    jobs: u64,
    /// The first look at which a job had ended.
    begin: Option<Moment>,
    /// The first look at which all had.
    end: Option<Moment>,
    memory: Memory,
}

struct Drained {
    interval: Interval,
    probe: Probe,
    memory: Memory,
}

impl<'a> Drain<'a> {
    fn of(run: &'a RunId, jobs: u64) -> Self {
        Self { run, jobs, begin: None, end: None, memory: Memory::default() }
    }

    async fn follow(
        mut self,
        stage: &Stage,
        roles: &mut Roles<'_>,
        scheduler: &SchedulerCalls,
    ) -> anyhow::Result<Drained> {
        let run = self.run;
        let following = follow(stage, roles, run, |snapshot, roles| self.see(snapshot, stage, roles));
        let (followed, probe) = probe::during(scheduler, run, following).await;
        followed?;
        let (begin, end) = self.begin.zip(self.end).expect("it was followed to its end");
        if end.at_ns - begin.at_ns < SECONDS_MIN * 1_000_000_000 {
            stage.talk(format!(
                "emptied within {SECONDS_MIN} s of the first job: the numbers are coarse, take more --jobs"
            ));
        }
        Ok(Drained { interval: Interval { begin, end }, probe, memory: self.memory })
    }

    /// Takes what is due of a snapshot; true at the end.
    fn see(&mut self, snapshot: &Snapshot, stage: &Stage, roles: &Roles<'_>) -> Result<bool> {
        let ended = ended(snapshot);
        self.memory.see(ended, self.jobs, || roles.usage())?;
        if self.begin.is_none() && ended > 0 {
            self.begin = Some(moment(stage, roles, ended)?);
        }
        if snapshot.is_drained() {
            self.end = Some(moment(stage, roles, ended)?);
        }
        Ok(self.end.is_some())
    }
}

/// The producer's part is that of the filling, which this process did.
fn add_fill(report: &mut BenchReport, filled: &Filled, jobs: u64) {
    report.fill = Some(Fill { seconds: filled.seconds, jobs_per_second: jobs as f64 / filled.seconds.max(1e-9) });
    report.cpu_us_per_job.extend(filled.after.cpu_us_per_job(&filled.before, jobs));
    if !report.cpu_us_per_job.contains_key(PROCESS) {
        report.rss_peak_bytes.extend(filled.after.rss_peak_bytes.clone());
    }
}

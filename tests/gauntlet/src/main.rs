//! The gauntlet: the real binary, as processes of its own, on the real services, under every fault that can be had on one
//! machine; one seed says which, on whom, when and how long. At the end every job must be stored and counted exactly once.
//!
//!   faults/ (blow → plan → strike)              which faults a seed says, and how they are done and undone
//!   world/ (services, gates, roles, …)          everything that is struck and everything that strikes
//!   course.rs                                   one way through it: runs, faults, drain, proof
//!   disaster.rs                                 harder, by name: data that is gone
//!   cluster.rs                                  three nodes of each service, of which one at a time is away
//!   sampler.rs → laws.rs                        the laws that every snapshot must obey meanwhile
//!   proof.rs, recovery.rs, elections.rs → report/   what came of it
//!
//! The table goes to stdout, everything else to stderr; the exit code is the verdict.

mod cluster;
mod course;
mod disaster;
mod elections;
mod faults;
mod laws;
mod proof;
mod recovery;
mod report;
mod sampler;
mod world;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;

use crate::course::Course;
use crate::disaster::Disaster;
use crate::faults::plan;
use crate::report::Report;
use crate::world::place::{Place, repository, say};
use crate::world::services;

/// Jobs a second of the big run.
const RATE: u64 = 2_000;
/// Jobs a second of the big run where nine nodes share the machine.
const RATE_OF_CLUSTERS: u64 = 300;

/// Kills, freezes, cuts and refuses everything that can be, while runs go on; then proves that no job was lost or doubled.
#[derive(Debug, Parser)]
#[command(name = "gauntlet")]
struct Options {
    /// Says which faults come, on whom, when and how long [default: a random one, which is printed]
    #[arg(long, global = true)]
    seed: Option<u64>,
    /// The binary on trial [default: target/release/paceline]
    #[arg(long, global = true, value_name = "PATH")]
    binary: Option<PathBuf>,
    /// Jobs a second of the big run [default: 2000; of clusters, whose nodes share this machine, 300]
    #[arg(long, global = true)]
    rate: Option<u64>,
    /// Leave out faults whose name or target contains this text, to look for what they hide; may be given again
    #[arg(long, global = true, value_name = "TEXT")]
    without: Vec<String>,
    /// Write the result there too, as JSON
    #[arg(long, global = true, value_name = "FILE")]
    json: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
    /// How long faults go on, in minutes
    #[arg(long, global = true, default_value_t = 10.0)]
    minutes: f64,
}

#[derive(Debug, Clone, Subcommand)]
enum Command {
    /// Data of a service is lost in mid-run
    Disaster {
        /// Which; all of them, one after the other, if none is named
        which: Vec<Disaster>,
    },
    /// Three nodes of each service, of which one at a time is killed, frozen or cut off
    Cluster,
    /// Print what a seed would strike, and strike nothing
    Plan,
}

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    match all(&options).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            say(&format!("FAILED: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Runs everything that was asked for; true if all of it has passed.
async fn all(options: &Options) -> anyhow::Result<bool> {
    let seed = options.seed.unwrap_or_else(|| fastrand::u64(1..1_000_000));
    ensure!(options.minutes > 0.0 && options.rate != Some(0), "minutes and rate must be above 0");
    let length = Duration::from_secs_f64(options.minutes * 60.0);
    say(&format!("seed {seed}"));
    if matches!(options.command, Some(Command::Plan)) {
        print_plan(seed, length);
        return Ok(true);
    }
    let reports = reports(options, seed, length).await?;
    if let Some(file) = &options.json {
        let all: Vec<_> = reports.iter().map(Report::json).collect();
        std::fs::write(file, serde_json::to_vec_pretty(&all)?).with_context(|| file.display().to_string())?;
    }
    // The last lines sum it up.
    reports.iter().for_each(|report| println!("{}", report.sentence()));
    Ok(reports.iter().all(Report::has_passed))
}

fn print_plan(seed: u64, length: Duration) {
    for planned in plan::plan(&mut fastrand::Rng::with_seed(seed), length) {
        println!(
            "{:7.2} s  {:5.2} s  {}: {}",
            planned.at.as_secs_f64(),
            planned.lasts.as_secs_f64(),
            planned.blow.name(),
            planned.blow.target()
        );
    }
}

/// A report of each gauntlet that the command asks for, one after the other.
async fn reports(options: &Options, seed: u64, length: Duration) -> anyhow::Result<Vec<Report>> {
    let rate = options.rate.unwrap_or(RATE);
    match options.command.clone() {
        Some(Command::Cluster) => {
            let rate = options.rate.unwrap_or(RATE_OF_CLUSTERS);
            let report = in_its_own_place(options, seed, |place| cluster::run(seed, length, rate, place)).await?;
            Ok(vec![report])
        }
        Some(Command::Disaster { which }) => {
            let mut reports = Vec::new();
            for disaster in if which.is_empty() { Disaster::ALL.to_vec() } else { which } {
                let one = in_its_own_place(options, seed, |place| disaster::run(disaster, seed, rate, place));
                reports.push(one.await?);
            }
            Ok(reports)
        }
        Some(Command::Plan) | None => {
            let course = Course { seed, length, jobs_per_second: rate, without: options.without.clone() };
            Ok(vec![in_its_own_place(options, seed, |place| course::run(course, place)).await?])
        }
    }
}

/// Runs in a folder of its own, and leaves nothing behind whatever happens: an error, a panic, a signal.
async fn in_its_own_place<F>(options: &Options, seed: u64, work: impl FnOnce(Place) -> F) -> anyhow::Result<Report>
where
    F: Future<Output = anyhow::Result<Report>> + Send + 'static,
{
    let repository = repository();
    let binary = options.binary.clone().unwrap_or_else(|| repository.join("target/release/paceline"));
    let binary = binary.canonicalize().with_context(|| {
        format!("there is no {}; build it with `make build`, or name another with --binary", binary.display())
    })?;
    let folder = repository.join(format!("target/gauntlet/seed-{seed}-{}", std::process::id()));
    let place = Place { repository, binary, folder };
    std::fs::create_dir_all(place.logs())?;
    say(&format!("logs are in {}", place.logs().display()));
    let ended = until_signal(work(place.clone())).await;
    // Roles are gone with their world; the services run on until they are told.
    if !matches!(&ended, Ok(report) if report.has_passed()) {
        services::keep_logs(&place.stack(), &place.logs());
    }
    let wiped = services::wipe(&place.repository, place.stack()).await;
    let report = ended?;
    wiped?;
    println!("{}", report.text());
    if report.has_passed() {
        std::fs::remove_dir_all(&place.folder)?;
    } else {
        say(&format!("logs are kept in {}", place.logs().display()));
    }
    Ok(report)
}

/// A panic is an error here, and so is a signal; either way the work is dropped before this returns.
async fn until_signal(work: impl Future<Output = anyhow::Result<Report>> + Send + 'static) -> anyhow::Result<Report> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut hang_up = signal(SignalKind::hangup())?;
    let mut task = JoinSet::new();
    task.spawn(work);
    let name = tokio::select! {
        ended = task.join_next() => return ended.context("the work has vanished")?.context("the gauntlet itself broke")?,
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
        _ = hang_up.recv() => "SIGHUP",
    };
    say(&format!("{name}: stopping everything that was started"));
    task.shutdown().await;
    bail!("interrupted by {name}")
}

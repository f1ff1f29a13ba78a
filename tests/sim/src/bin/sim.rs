//! `sim`: plays seeds of the simulation, replays one with its whole trace, or hunts mutants.

use std::process::ExitCode;

use clap::Parser;
use paceline_sim::mutant::Mutant;
use paceline_sim::{Outcome, hunt, seeds, simulate};

/// Failing seeds after which no more are played.
const FAILURES_MAX: usize = 10;
const PROGRESS_EVERY: u64 = 1_000;

/// The real scheduler, producer and worker over simulated services, driven by seeds.
#[derive(Debug, Parser)]
struct Arguments {
    /// The number of seeds to play, or, with --mutants, to try at most for each mutant.
    #[arg(long, default_value_t = 1_000)]
    seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Replay this seed alone and print its plan and every step.
    #[arg(long)]
    seed: Option<u64>,
    /// Break the code in this way (a build with the feature `mutants` only).
    #[arg(long, value_parser = mutant)]
    mutant: Option<Mutant>,
    /// Show that every mutant is caught.
    #[arg(long)]
    mutants: bool,
}

fn mutant(name: &str) -> Result<Mutant, String> {
    let names = Mutant::ALL.map(Mutant::name).join(", ");
    Mutant::parse(name).ok_or_else(|| format!("no such mutant; there are: {names}"))
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if !cfg!(feature = "mutants") && (arguments.mutants || arguments.mutant.is_some()) {
        eprintln!("this build has no mutants; build it with --features mutants");
        return ExitCode::from(2);
    }
    let is_good = match arguments {
        Arguments { seed: Some(seed), mutant, .. } => replay(seed, mutant),
        Arguments { mutants: true, seeds, .. } => {
            Mutant::ALL.map(|one| catch(one, seeds)).into_iter().all(|is_caught| is_caught)
        }
        Arguments { seeds, from, mutant, .. } => play(from, seeds, mutant),
    };
    if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn replay(seed: u64, mutant: Option<Mutant>) -> bool {
    let outcome = simulate(seed, mutant, true);
    let Outcome { hash, steps, jobs, virtual_ms, violation, .. } = &outcome;
    println!("seed {seed}: {steps} steps, {jobs} jobs, {virtual_ms} ms of virtual time, trace {hash:016x}");
    match violation {
        None => println!("every law holds"),
        Some(broken) => println!("{} is broken: {}", broken.law, broken.words),
    }
    violation.is_none()
}

fn play(from: u64, count: u64, mutant: Option<Mutant>) -> bool {
    let sum = seeds::play(from..from + count, mutant, FAILURES_MAX, |done| {
        if done.is_multiple_of(PROGRESS_EVERY) {
            eprintln!("{done} seeds played");
        }
    });
    sum.failed.iter().for_each(|outcome| report(outcome, mutant));
    let virtual_hours = sum.virtual_ms as f64 / 3_600_000.0;
    println!(
        "{} seeds, {} faults, {} jobs, {} steps, {virtual_hours:.1} h of virtual time: {} failed",
        sum.seeds,
        sum.faults,
        sum.jobs,
        sum.steps,
        sum.failed.len()
    );
    sum.failed.is_empty()
}

fn report(outcome: &Outcome, mutant: Option<Mutant>) {
    let Some(broken) = &outcome.violation else { return };
    outcome.trace.iter().for_each(|line| println!("{line}"));
    let with = mutant.map_or(String::new(), |mutant| format!(" --mutant {}", mutant.name()));
    println!("seed {}: {} is broken: {}", outcome.seed, broken.law, broken.words);
    println!("trace {:016x}; replay it with: sim --seed {}{with}\n", outcome.hash, outcome.seed);
}

fn catch(mutant: Mutant, seeds_max: u64) -> bool {
    let name = mutant.name();
    match hunt::catch(mutant, seeds_max) {
        Some(Outcome { seed, violation: Some(broken), .. }) => {
            println!("{name}: caught by seed {seed}: {} is broken: {}", broken.law, broken.words);
            true
        }
        _ => {
            println!("{name}: NOT caught within {seeds_max} seeds");
            false
        }
    }
}

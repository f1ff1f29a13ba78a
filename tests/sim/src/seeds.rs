//! Many seeds, one thread a core, each seed on a runtime of its own.

use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::mutant::Mutant;
use crate::run::{Outcome, simulate};

/// The sum over all seeds.
#[derive(Debug, Default)]
pub struct Sum {
    pub seeds: u64,
    pub steps: u64,
    pub jobs: u64,
    pub faults: u64,
    pub virtual_ms: u64,
    /// By seed.
    pub failed: Vec<Outcome>,
}

/// Plays every seed of the range, or until `failures_max` have failed. `progress` hears of each.
pub fn play(seeds: Range<u64>, mutant: Option<Mutant>, failures_max: usize, progress: impl Fn(u64) + Sync) -> Sum {
    let (next, is_over, sum) = (AtomicU64::new(seeds.start), AtomicBool::new(false), Mutex::new(Sum::default()));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        return;
                    }
                    let mut sum = add(&sum, simulate(seed, mutant, false));
                    if sum.failed.len() >= failures_max {
                        is_over.store(true, Ordering::Relaxed);
                    }
                    sum.failed.sort_by_key(|outcome| outcome.seed);
                    progress(sum.seeds);
                }
            });
        }
    });
    sum.into_inner().expect("no thread panicked")
}

fn add(sum: &Mutex<Sum>, outcome: Outcome) -> std::sync::MutexGuard<'_, Sum> {
    let mut sum = sum.lock().expect("no thread panicked");
    sum.seeds += 1;
    sum.steps += outcome.steps;
    sum.jobs += outcome.jobs;
    sum.faults += outcome.faults as u64;
    sum.virtual_ms += outcome.virtual_ms;
    if outcome.violation.is_some() {
        sum.failed.push(outcome);
    }
    sum
}

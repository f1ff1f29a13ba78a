//! The memory of the roles at shares of the jobs: it must not grow with them.

use std::collections::BTreeMap;

use paceline_core::Result;
use serde::Serialize;

use super::usage::Usage;

/// The percents of the jobs at whose end the memory is looked at.
const MEMORY_PERCENTS: [u64; 3] = [10, 50, 100];

/// The memory at one look.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MemorySample {
    pub percent: u64,
    /// The jobs that had ended in fact.
    pub jobs: u64,
    /// The memory of each role's largest process, by role.
    pub rss_bytes: BTreeMap<&'static str, u64>,
}

#[derive(Debug, Default)]
pub struct Memory {
    pub samples: Vec<MemorySample>,
}

impl Memory {
    /// Takes the samples that are due now.
    pub fn see(&mut self, ended: u64, total: u64, usage: impl Fn() -> Result<Usage>) -> Result<()> {
        while let Some(percent) = MEMORY_PERCENTS.get(self.samples.len()) {
            if ended * 100 < total * percent {
                break;
            }
            self.samples.push(MemorySample { percent: *percent, jobs: ended, rss_bytes: usage()?.rss_bytes });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_sampled_once_at_each_share_of_the_jobs() {
        let mut memory = Memory::default();
        let usage = || Ok(Usage { rss_bytes: BTreeMap::from([("worker", 7)]), ..Usage::default() });
        for ended in [0, 99, 100, 150, 600, 999, 1_000] {
            memory.see(ended, 1_000, usage).unwrap();
        }
        let seen: Vec<_> = memory.samples.iter().map(|sample| (sample.percent, sample.jobs)).collect();
        assert_eq!(seen, [(10, 100), (50, 600), (100, 1_000)]);
        assert_eq!(memory.samples[2].rss_bytes["worker"], 7);
    }

    #[test]
    fn a_run_that_ends_between_two_looks_has_every_sample() {
        let mut memory = Memory::default();
        memory.see(5, 5, || Ok(Usage::default())).unwrap();
        assert_eq!(memory.samples.len(), MEMORY_PERCENTS.len());
    }
}

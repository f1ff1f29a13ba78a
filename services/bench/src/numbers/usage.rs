//! The CPU time and the memory of processes, from Linux's /proc, summed or maximised over the processes of a role.

use std::collections::BTreeMap;

use paceline_core::error::codes;
use paceline_core::{Error, Result};

/// Linux counts CPU time for user space in ticks of 1/100 s on every architecture we run on (`getconf CLK_TCK`).
pub const TICK_US: u64 = 10_000;

/// CPU time and memory, by role.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Usage {
    /// The CPU time of all processes of the role together.
    pub cpu_us: BTreeMap<&'static str, u64>,
    /// The peak memory of the role's largest process.
    pub rss_peak_bytes: BTreeMap<&'static str, u64>,
    /// The memory of the largest process of the role at this moment.
    pub rss_bytes: BTreeMap<&'static str, u64>,
}

impl Usage {
    /// Reads what `processes`, each a role and a process id, have used since they began.
    pub fn read(processes: impl IntoIterator<Item = (&'static str, u32)>) -> Result<Self> {
        let mut usage = Self::default();
        for (role, pid) in processes {
            let cpu_us = parse_cpu_us(&file(pid, "stat")?).ok_or_else(|| unreadable(pid, "stat"))?;
            let status = file(pid, "status")?;
            *usage.cpu_us.entry(role).or_default() += cpu_us;
            for (label, by_role) in [("VmHWM:", &mut usage.rss_peak_bytes), ("VmRSS:", &mut usage.rss_bytes)] {
                let bytes = kilobytes(&status, label).ok_or_else(|| unreadable(pid, "status"))?;
                let largest = by_role.entry(role).or_default();
                *largest = bytes.max(*largest);
            }
        }
        Ok(usage)
    }

    /// CPU time since `earlier`, a job, by role.
    pub fn cpu_us_per_job(&self, earlier: &Self, jobs: u64) -> BTreeMap<&'static str, f64> {
        let since = |role: &&'static str, now: u64| now.saturating_sub(earlier.cpu_us.get(role).copied().unwrap_or(0));
        self.cpu_us.iter().map(|(role, now)| (*role, since(role, *now) as f64 / jobs.max(1) as f64)).collect()
    }
}

fn file(pid: u32, name: &str) -> Result<String> {
    let path = format!("/proc/{pid}/{name}");
    std::fs::read_to_string(&path).map_err(|e| {
        Error::internal(format!("cannot read {path}: {e}; the benchmark needs Linux, and roles that go on running"))
            .coded(codes::BENCH_NEEDS_LINUX)
    })
}

fn unreadable(pid: u32, name: &str) -> Error {
    Error::internal(format!("/proc/{pid}/{name} is not as expected, or its process has ended; see the log above"))
        .coded(codes::BENCH_NEEDS_LINUX)
}

/// utime + stime of `/proc/<pid>/stat`. The name before them may hold anything, but its bracket is the last one.
fn parse_cpu_us(stat: &str) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut from_utime = after_name.split_ascii_whitespace().skip(11);
    let mut ticks = || from_utime.next()?.parse::<u64>().ok();
    Some((ticks()? + ticks()?) * TICK_US)
}

/// A line such as `VmHWM:   1234 kB`, in bytes.
fn kilobytes(text: &str, label: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(label))?;
    Some(line.split_ascii_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

/// The memory of this machine, from `/proc/meminfo`.
pub fn memory_bytes() -> Option<u64> {
    kilobytes(&std::fs::read_to_string("/proc/meminfo").ok()?, "MemTotal:")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_and_spaces_does_not_mislead() {
        let stat = "42 (a) b (c)) S 1 42 42 0 -1 4194304 5 0 0 0 130 20 0 0 20 0 9 0 100 1000 10 18446744073709551615";
        assert_eq!(parse_cpu_us(stat), Some(1_500_000));
        assert_eq!(parse_cpu_us("42 (gone"), None);
    }

    #[test]
    fn memory_is_in_bytes_and_a_zombie_has_none() {
        let status = "Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t 1 kB\n";
        assert_eq!((kilobytes(status, "VmHWM:"), kilobytes(status, "VmRSS:")), (Some(2_097_152), Some(1_024)));
        assert_eq!(kilobytes("Name:\tx\nState:\tZ (zombie)\n", "VmHWM:"), None);
    }

    #[test]
    fn this_process_can_be_read_and_processes_of_a_role_add_up() {
        let pid = std::process::id();
        let usage = Usage::read([("worker", pid), ("worker", pid)]).unwrap();
        assert!(usage.rss_bytes["worker"] > 0 && usage.rss_bytes["worker"] <= usage.rss_peak_bytes["worker"]);
        let before = Usage { cpu_us: BTreeMap::from([("worker", 1_000)]), ..Usage::default() };
        let after = Usage { cpu_us: BTreeMap::from([("worker", 5_000), ("producer", 100)]), ..Usage::default() };
        let per_job = after.cpu_us_per_job(&before, 100);
        assert_eq!(per_job, BTreeMap::from([("worker", 40.0), ("producer", 1.0)]));
    }
}

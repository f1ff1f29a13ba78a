//! The process itself: processor time, memory, files, threads, and what its cgroup allows it. Read from `/proc` and `/sys` when somebody
//! asks; what cannot be read is absent.

use std::path::{Path, PathBuf};

use super::names;
use super::series::MetricReadings;

/// The unit of times in `/proc/self/stat`: Linux shows hundredths of a second, on every machine that Rust knows.
const TICKS_PER_SECOND: f64 = 100.0;
const CGROUPS: &str = "/sys/fs/cgroup";

pub fn read(readings: &mut MetricReadings) {
    let file = |name: &str| std::fs::read_to_string(format!("/proc/{name}")).unwrap_or_default();
    let (stat, status) = (file("self/stat"), file("self/status"));
    let real = [
        (&names::PROCESS_CPU, cpu_seconds(&stat)),
        (&names::PROCESS_START, started_at(&stat, &file("stat"))),
        (&names::CPU_LIMIT, cpu_limit()),
    ];
    let whole = [
        (&names::PROCESS_MEMORY, kibibytes(&status, "VmRSS:")),
        (&names::PROCESS_THREADS, after(&status, "Threads:")),
        (&names::PROCESS_FDS, std::fs::read_dir("/proc/self/fd").ok().map(|all| all.count() as u64)),
        (&names::PROCESS_FDS_MAX, after(&file("self/limits"), "Max open files")),
        (&names::MEMORY_LIMIT, memory_limit(kibibytes(&file("meminfo"), "MemTotal:"))),
    ];
    real.into_iter().for_each(|(metric, value)| value.into_iter().for_each(|value| readings.add(metric, &[], value)));
    whole.into_iter().for_each(|(metric, value)| value.into_iter().for_each(|value| readings.add(metric, &[], value)));
}

/// The first number of the line that begins with `name`.
fn after(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

fn kibibytes(text: &str, name: &str) -> Option<u64> {
    after(text, name).map(|kib| kib * 1024)
}

/// A field of `/proc/self/stat`, counted as its manual does. The second is a name, which may hold anything, in brackets.
fn field(stat: &str, number: usize) -> Option<f64> {
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_ascii_whitespace().nth(number - 3)?.parse().ok()
}

fn cpu_seconds(stat: &str) -> Option<f64> {
    Some((field(stat, 14)? + field(stat, 15)?) / TICKS_PER_SECOND)
}

fn started_at(stat: &str, system: &str) -> Option<f64> {
    Some(after(system, "btime")? as f64 + field(stat, 22)? / TICKS_PER_SECOND)
}

/// The folders of this process's cgroup, of version 2, from its own up to the root: the lowest limit counts.
fn groups() -> Vec<PathBuf> {
    let file = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let own = file.lines().find_map(|line| line.strip_prefix("0::/")).unwrap_or_default();
    let own = Path::new(CGROUPS).join(own);
    own.ancestors().take_while(|folder| folder.starts_with(CGROUPS)).map(Path::to_owned).collect()
}

fn memory_limit(machine: Option<u64>) -> Option<u64> {
    let old = PathBuf::from(CGROUPS).join("memory/memory.limit_in_bytes");
    let files = groups().into_iter().map(|folder| folder.join("memory.max")).chain([old]);
    let limits = files.filter_map(|file| std::fs::read_to_string(file).ok()?.trim().parse::<u64>().ok());
    limits.chain(machine).min()
}

fn cpu_limit() -> Option<f64> {
    let old = Path::new(CGROUPS).join("cpu");
    let old = ["cpu.cfs_quota_us", "cpu.cfs_period_us"]
        .map(|file| std::fs::read_to_string(old.join(file)).unwrap_or_default());
    let files = groups().into_iter().filter_map(|folder| std::fs::read_to_string(folder.join("cpu.max")).ok());
    let quotas = files.chain([old.join(" ")]).filter_map(|text| quota(&text));
    let machine = std::thread::available_parallelism().ok().map(|cores| cores.get() as f64);
    quotas.chain(machine).min_by(f64::total_cmp)
}

/// `<quota> <period>`; no quota is `max`, or -1 in version 1.
fn quota(text: &str) -> Option<f64> {
    let mut numbers = text.split_ascii_whitespace().map(str::parse::<f64>);
    let (quota, period) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
    (quota > 0.0 && period > 0.0).then(|| quota / period)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_read_whatever_its_name() {
        let mut numbers = vec!["0"; 50];
        (numbers[11], numbers[12], numbers[19]) = ("250", "150", "500");
        let stat = format!("7 (a ) b) {}", numbers.join(" "));
        assert_eq!(cpu_seconds(&stat), Some(4.0));
        assert_eq!(started_at(&stat, "cpu 1\nbtime 1000\n"), Some(1005.0));
        assert_eq!(cpu_seconds(""), None, "unknown is not 0");
        assert_eq!(after("Max open files            1024                 4096  files\n", "Max open files"), Some(1024));
    }

    #[test]
    fn a_quota_is_cores() {
        assert_eq!(
            [quota("150000 100000\n"), quota("max 100000"), quota("-1 100000"), quota("")],
            [Some(1.5), None, None, None]
        );
    }

    #[test]
    fn this_process_says_everything() {
        assert!(cpu_limit().unwrap() > 0.0);
        assert!(memory_limit(Some(1 << 50)).unwrap() <= 1 << 50);
    }
}

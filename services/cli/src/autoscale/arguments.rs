//! The range of `--autoscale`, and the command line of a worker made from that of the supervisor.

use std::ffi::OsString;
use std::str::FromStr;
use std::time::Duration;

/// More processes on one host are a mistake.
const WORKERS_MAX: u32 = 256;
/// Flags that are the supervisor's, or that each worker gets a value of its own for; each with a value.
const WITH_VALUE: [&str; 5] = ["--autoscale", "--drain-seconds", "--scale-in-after", "--id", "--grace"];
const STOP_WITH_STDIN: &str = "--stop-with-stdin";

/// The fewest and the most workers that there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkerBounds {
    pub min: u32,
    pub max: u32,
}

impl WorkerBounds {
    pub fn clamp(self, workers: u32) -> u32 {
        workers.clamp(self.min, self.max)
    }
}

impl std::fmt::Display for WorkerBounds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}..{}", self.min, self.max)
    }
}

impl FromStr for WorkerBounds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts: Option<(u32, u32)> =
            text.split_once("..").and_then(|(min, max)| Some((min.parse().ok()?, max.parse().ok()?)));
        match parts {
            Some((min, max)) if min <= max && (1..=WORKERS_MAX).contains(&max) => Ok(Self { min, max }),
            _ => Err(format!("must be MIN..MAX such as 1..8, both included, and at most {WORKERS_MAX}")),
        }
    }
}

/// The arguments of a worker, from those that this process was given, without its own name.
pub fn of_worker(given: impl IntoIterator<Item = OsString>, id: &str, grace: Duration) -> Vec<OsString> {
    let mut given = given.into_iter();
    let mut kept = Vec::new();
    while let Some(argument) = given.next() {
        let text = argument.to_string_lossy().into_owned();
        let (flag, has_value) = text.split_once('=').map_or((text.as_str(), false), |(flag, _)| (flag, true));
        if WITH_VALUE.contains(&flag) {
            if !has_value {
                given.next();
            }
        } else if flag != STOP_WITH_STDIN {
            kept.push(argument);
        }
    }
    let grace = grace.as_secs_f64().to_string();
    kept.extend(["--id", id, "--grace", &grace, STOP_WITH_STDIN].map(OsString::from));
    kept
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::options::CommandLine;

    #[test]
    fn a_range_has_both_ends_and_sense() {
        assert_eq!("1..8".parse::<WorkerBounds>(), Ok(WorkerBounds { min: 1, max: 8 }));
        assert_eq!("0..1".parse::<WorkerBounds>(), Ok(WorkerBounds { min: 0, max: 1 }));
        for wrong in ["", "8", "8..1", "0..0", "1..", "..8", "1..257", "-1..2", "1..=8"] {
            assert!(wrong.parse::<WorkerBounds>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_worker_gets_all_but_what_is_the_supervisors() {
        let given = "--json worker --autoscale 1..8 --queue a --drain-seconds=5 --id boss --queue b --scale-in-after 3 \
                     --grace 1 --stop-with-stdin --log debug --prefetch 7";
        let made = of_worker(given.split_whitespace().map(OsString::from), "boss-1", Duration::from_secs(35));
        let made: Vec<_> = made.into_iter().map(|argument| argument.into_string().unwrap()).collect();
        let line = made.join(" ");
        assert_eq!(
            line,
            "--json worker --queue a --queue b --log debug --prefetch 7 --id boss-1 --grace 35 --stop-with-stdin"
        );
        CommandLine::try_parse_from(["paceline"].into_iter().chain(line.split(' '))).unwrap();
    }
}

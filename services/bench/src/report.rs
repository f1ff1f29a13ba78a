//! The report of a benchmark: its JSON shape, filled from the numbers of a mode. The caller makes a text of it.

use std::collections::BTreeMap;

use paceline_core::ids::RunId;
use paceline_runtime::telemetry::warnings::Heard;
use serde::Serialize;

use crate::load::LoadSetup;
use crate::numbers::interval::Interval;
use crate::numbers::memory::Memory;
use crate::numbers::tally::BenchTally;
use crate::numbers::usage;
use crate::run::probe::Probe;
use crate::stage::Stage;

pub use crate::numbers::memory::MemorySample;

/// Unknown numbers, and those that do not apply, are absent.
#[derive(Debug, Serialize)]
pub struct BenchReport {
    pub mode: &'static str,
    pub namespace: String,
    pub run_id: RunId,
    /// Within the measured interval.
    pub jobs: u64,
    pub seconds: f64,
    pub jobs_per_second: f64,
    /// CPU time by role, all its processes together; `process` stands for every role in one process.
    pub cpu_us_per_job: BTreeMap<&'static str, f64>,
    /// CPU time of every process of this machine, also of those that have nothing to do with the benchmark.
    pub machine_cpu_us_per_job: f64,
    /// CPU time by service. Services that run elsewhere, or as a user whose processes we may not look into, are absent.
    pub services_cpu_us_per_job: BTreeMap<&'static str, f64>,
    /// Peak memory by role, of the role's largest process.
    pub rss_peak_bytes: BTreeMap<&'static str, u64>,
    pub memory: Vec<MemorySample>,
    /// Warnings of every role and of the benchmark itself, as far as the log's filter lets them through.
    pub warnings: Heard,
    /// Quantiles of the time from due to stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p50_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p99_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub getrun_p50_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub getrun_p99_ms: Option<f64>,
    pub getrun_failures: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_mean: Option<f64>,
    pub batches: u64,
    /// Jobs that ended in each, over the whole run.
    pub workers: BTreeMap<String, u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asked_per_second: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub achieved_per_second: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deviation_percent: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fill: Option<Fill>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verified: Option<bool>,
    pub machine: Machine,
    pub config: LoadSetup,
}

/// The filling of a queue before it is emptied.
#[derive(Debug, Serialize)]
pub struct Fill {
    pub seconds: f64,
    pub jobs_per_second: f64,
}

#[derive(Debug, Serialize)]
pub struct Machine {
    pub cores: usize,
    pub kernel: String,
    pub memory_bytes: Option<u64>,
}

impl Machine {
    fn this() -> Self {
        let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self { cores, kernel: kernel.trim().to_owned(), memory_bytes: usage::memory_bytes() }
    }
}

impl BenchReport {
    pub(crate) fn new(mode: &'static str, stage: &Stage, run: &RunId, interval: &Interval, config: LoadSetup) -> Self {
        Self::of(mode, &stage.settings.namespace, run, interval, config)
    }

    fn of(mode: &'static str, namespace: &str, run: &RunId, interval: &Interval, config: LoadSetup) -> Self {
        let (before, after) = (&interval.begin, &interval.end);
        Self {
            mode,
            namespace: namespace.to_owned(),
            run_id: run.clone(),
            jobs: interval.jobs(),
            seconds: interval.seconds(),
            jobs_per_second: interval.jobs_per_second(),
            cpu_us_per_job: after.usage.cpu_us_per_job(&before.usage, interval.jobs()),
            machine_cpu_us_per_job: interval.machine_us_per_job(),
            services_cpu_us_per_job: after.services.cpu_us_per_job(&before.services, interval.jobs()),
            rss_peak_bytes: after.usage.rss_peak_bytes.clone(),
            memory: Vec::new(),
            warnings: Heard::default(),
            p50_ms: None,
            p99_ms: None,
            max_ms: None,
            getrun_p50_ms: None,
            getrun_p99_ms: None,
            getrun_failures: 0,
            batch_mean: None,
            batches: 0,
            workers: BTreeMap::new(),
            asked_per_second: None,
            achieved_per_second: None,
            deviation_percent: None,
            fill: None,
            verified: None,
            machine: Machine::this(),
            config,
        }
    }

    pub(crate) fn with_probe(&mut self, probe: &Probe) -> &mut Self {
        (self.getrun_p50_ms, self.getrun_p99_ms) = (probe.quantile_ms(0.5), probe.quantile_ms(0.99));
        self.getrun_failures = probe.failures;
        self
    }

    pub(crate) fn with_tally(&mut self, tally: &BenchTally) -> &mut Self {
        (self.p50_ms, self.p99_ms, self.max_ms) =
            (tally.quantile_ms(0.5), tally.quantile_ms(0.99), tally.quantile_ms(1.0));
        (self.batch_mean, self.batches, self.workers) = (tally.batch_mean(), tally.batches, tally.workers.clone());
        self
    }

    pub(crate) fn with_memory(&mut self, memory: Memory) -> &mut Self {
        self.memory = memory.samples;
        self
    }

    /// Where jobs wait for the workers, from due to stored is only how long the queue was.
    pub(crate) fn without_latency(&mut self) {
        (self.p50_ms, self.p99_ms, self.max_ms) = (None, None, None);
    }

    pub(crate) fn with_pace(&mut self, asked: f64, achieved: Option<f64>) -> &mut Self {
        (self.asked_per_second, self.achieved_per_second) = (Some(asked), achieved);
        self.deviation_percent = achieved.map(|achieved| (achieved / asked - 1.0) * 100.0);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numbers::interval::Moment;
    use crate::numbers::usage::Usage;

    fn report() -> BenchReport {
        let moment = |at_ns, ended, cpu_us| Moment {
            at_ns,
            ended,
            usage: Usage {
                cpu_us: BTreeMap::from([("worker", cpu_us)]),
                rss_peak_bytes: BTreeMap::from([("worker", 50_000_000)]),
                rss_bytes: BTreeMap::from([("worker", 40_000_000)]),
            },
            services: Usage { cpu_us: BTreeMap::from([("sink", cpu_us * 2)]), ..Usage::default() },
            busy_us: cpu_us * 5,
        };
        let interval = Interval { begin: moment(1_000_000_000, 100, 500), end: moment(3_000_000_000, 40_100, 400_500) };
        let load = LoadSetup { workers: 2, consumers: 64, prefetch: 10, batch: 1_000, payload_bytes: 0, verify: true };
        BenchReport::of("drain", "bench-x", &RunId::parse("r").unwrap(), &interval, load)
    }

    #[test]
    fn rates_and_costs_are_of_the_interval() {
        let report = report();
        assert_eq!((report.jobs, report.seconds, report.jobs_per_second), (40_000, 2.0, 20_000.0));
        assert_eq!(report.cpu_us_per_job, BTreeMap::from([("worker", 10.0)]));
        assert_eq!(report.services_cpu_us_per_job, BTreeMap::from([("sink", 20.0)]));
        assert!((report.machine_cpu_us_per_job - 50.0).abs() < 1e-9);
    }

    #[test]
    fn the_deviation_is_in_percent_of_what_was_asked() {
        let mut report = report();
        report.with_pace(1_000.0, Some(990.0));
        assert!((report.deviation_percent.unwrap() + 1.0).abs() < 1e-9);
    }

    #[test]
    fn an_unknown_number_is_absent() {
        let json = serde_json::to_value(report()).unwrap();
        assert!(json.get("p50_ms").is_none() && json.get("verified").is_none());
        assert_eq!((&json["config"]["prefetch"], &json["warnings"]["count"]), (&10.into(), &0.into()));
    }
}

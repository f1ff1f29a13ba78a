//! What a benchmark found: the JSON shape, and its text.

use std::collections::BTreeMap;

use paceline_core::ids::RunId;
use paceline_runtime::telemetry::warnings::Heard;
use serde::Serialize;

use super::load::Config;
use super::probe::Probe;
use super::stage::Stage;
use super::tally::Tally;
use super::track::{Interval, Memory, MemorySample};
use super::usage;
use crate::output::table;

/// Unknown numbers, and those that do not apply, are absent.
#[derive(Debug, Serialize)]
pub struct Report {
    pub mode: &'static str,
    pub namespace: String,
    pub run_id: RunId,
    /// Within the measured interval.
    pub jobs: u64,
    pub seconds: f64,
    pub jobs_per_second: f64,
    /// By role, all its processes together; a `process` is every role at once.
    pub cpu_us_per_job: BTreeMap<&'static str, f64>,
    /// Of every process of this machine, also of those that have nothing to do with it.
    pub machine_cpu_us_per_job: f64,
    /// By service; those that run elsewhere, or as somebody whose processes we may not look into, are absent.
    pub services_cpu_us_per_job: BTreeMap<&'static str, f64>,
    /// By role, the largest of its processes.
    pub rss_peak_bytes: BTreeMap<&'static str, u64>,
    pub memory: Vec<MemorySample>,
    /// Of every role and of the benchmark itself, as far as the log's filter lets them through.
    pub warnings: Heard,
    /// From due to stored.
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
    pub config: Config,
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

impl Report {
    pub fn new(mode: &'static str, stage: &Stage, run: &RunId, interval: &Interval, config: Config) -> Self {
        Self::of(mode, &stage.settings.namespace, run, interval, config)
    }

    fn of(mode: &'static str, namespace: &str, run: &RunId, interval: &Interval, config: Config) -> Self {
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

    pub fn with_probe(&mut self, probe: &Probe) -> &mut Self {
        (self.getrun_p50_ms, self.getrun_p99_ms) = (probe.quantile_ms(0.5), probe.quantile_ms(0.99));
        self.getrun_failures = probe.failures;
        self
    }

    pub fn with_tally(&mut self, tally: &Tally) -> &mut Self {
        (self.p50_ms, self.p99_ms, self.max_ms) =
            (tally.quantile_ms(0.5), tally.quantile_ms(0.99), tally.quantile_ms(1.0));
        (self.batch_mean, self.batches, self.workers) = (tally.batch_mean(), tally.batches, tally.workers.clone());
        self
    }

    pub fn with_memory(&mut self, memory: Memory) -> &mut Self {
        self.memory = memory.samples;
        self
    }

    /// Where jobs wait for the workers, from due to stored is only how long the queue was.
    pub fn without_latency(&mut self) {
        (self.p50_ms, self.p99_ms, self.max_ms) = (None, None, None);
    }

    pub fn with_pace(&mut self, asked: f64, achieved: Option<f64>) -> &mut Self {
        (self.asked_per_second, self.achieved_per_second) = (Some(asked), achieved);
        self.deviation_percent = achieved.map(|achieved| (achieved / asked - 1.0) * 100.0);
        self
    }
}

pub fn text(report: &Report) -> String {
    let ms = |value: Option<f64>| value.map_or("–".to_owned(), |ms| format!("{ms:.1}"));
    let mut rows = vec![
        ["jobs".to_owned(), format!("{} in {:.2} s", report.jobs, report.seconds)],
        ["jobs/s".to_owned(), format!("{:.0}", report.jobs_per_second)],
    ];
    if let (Some(asked), Some(achieved), Some(off)) =
        (report.asked_per_second, report.achieved_per_second, report.deviation_percent)
    {
        rows.push(["enqueued/s".to_owned(), format!("{achieved:.2} of {asked:.2} asked ({off:+.3} %)")]);
    }
    if let Some(fill) = &report.fill {
        rows.push([
            "filled before".to_owned(),
            format!("in {:.2} s, {:.0} jobs/s", fill.seconds, fill.jobs_per_second),
        ]);
    }
    if report.p50_ms.is_some() {
        let (p50, p99, max) = (ms(report.p50_ms), ms(report.p99_ms), ms(report.max_ms));
        rows.push(["due to stored".to_owned(), format!("p50 {p50} ms, p99 {p99} ms, max {max} ms")]);
    }
    let (p50, p99) = (ms(report.getrun_p50_ms), ms(report.getrun_p99_ms));
    rows.push(["GetRun".to_owned(), format!("p50 {p50} ms, p99 {p99} ms, {} failed", report.getrun_failures)]);
    let mean = report.batch_mean.map_or("–".to_owned(), |mean| format!("{mean:.0}"));
    rows.push(["batches".to_owned(), format!("{} of {mean} documents", report.batches)]);
    rows.extend(report.workers.iter().map(|(worker, jobs)| [worker.clone(), format!("{jobs} jobs")]));
    rows.push(["setup".to_owned(), setup(report)]);
    rows.push(["warnings".to_owned(), warnings(&report.warnings)]);
    rows.push(["proved".to_owned(), proved(report).to_owned()]);
    format!("{}\n\n{}", table([&report.mode.to_uppercase(), ""], &rows), processes(report))
}

/// The roles, then the services, then everything.
fn processes(report: &Report) -> String {
    let at = |percent: u64| report.memory.iter().find(|sample| sample.percent == percent).map(|at| &at.rss_bytes);
    let memory = |of: Option<&BTreeMap<&str, u64>>, role: &str| {
        let bytes = of.and_then(|by_role| by_role.get(role));
        bytes.map_or("–".to_owned(), |bytes| format!("{:.0} MB", *bytes as f64 / 1e6))
    };
    let role = |(role, cpu_us): (&&str, &f64)| {
        let [at_10, at_50, at_100] = [10, 50, 100].map(|percent| memory(at(percent), role));
        let peak = memory(Some(&report.rss_peak_bytes), role);
        [(*role).to_owned(), format!("{cpu_us:.2}"), peak, at_10, at_50, at_100]
    };
    let without_memory = |name: &str, cpu_us: f64| {
        let [a, b, c, d] = ["–"; 4].map(str::to_owned);
        [name.to_owned(), format!("{cpu_us:.2}"), a, b, c, d]
    };
    let services = report.services_cpu_us_per_job.iter().map(|(service, cpu_us)| without_memory(service, *cpu_us));
    let machine = without_memory("whole machine, every process", report.machine_cpu_us_per_job);
    let rows: Vec<_> = report.cpu_us_per_job.iter().map(role).chain(services).chain([machine]).collect();
    table(["PROCESSES", "CPU µs/job", "PEAK MEMORY", "AT 10 % OF JOBS", "AT 50 %", "AT 100 %"], &rows)
}

fn warnings(heard: &Heard) -> String {
    match heard.count {
        0 => "✓ none".to_owned(),
        count => format!("✗ {count}, the first:\n    {}", heard.first.join("\n    ")),
    }
}

fn setup(report: &Report) -> String {
    let Config { workers, consumers, prefetch, batch, payload_bytes, .. } = &report.config;
    let cores = report.machine.cores;
    format!(
        "{workers} workers × {consumers} consumers, prefetch {prefetch}, batch ≤ {batch}, payload {payload_bytes} B, {cores} cores"
    )
}

fn proved(report: &Report) -> &'static str {
    match report.verified {
        Some(true) => "✓ each job is stored and counted exactly once",
        Some(false) => "✗ no; what is missing is above",
        None => "not asked",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::bench::track::Moment;
    use crate::commands::bench::usage::Usage;

    fn report() -> Report {
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
        let config = Config { workers: 2, consumers: 64, prefetch: 10, batch: 1_000, payload_bytes: 0, verify: true };
        Report::of("drain", "bench-x", &RunId::parse("r").unwrap(), &interval, config)
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
        assert!(text(&report).contains("990.00 of 1000.00 asked (-1.000 %)"));
    }

    #[test]
    fn what_is_unknown_is_absent_and_the_text_has_every_role() {
        let mut report = report();
        let rss_bytes = BTreeMap::from([("worker", 40_000_000)]);
        report.memory = vec![MemorySample { percent: 10, jobs: 4_000, rss_bytes }];
        let json = serde_json::to_value(&report).unwrap();
        assert!(json.get("p50_ms").is_none() && json.get("verified").is_none());
        assert_eq!(json["config"]["prefetch"], 10);
        let text = text(&report);
        let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert!(lines.contains(&vec!["worker", "10.00", "50", "MB", "40", "MB", "–", "–"]), "{text}");
        assert!(lines.contains(&"whole machine, every process 50.00 – – – –".split(' ').collect()), "{text}");
        assert!(text.contains("not asked") && text.contains("✓ none"), "{text}");
    }

    #[test]
    fn warnings_are_counted_and_the_first_are_named() {
        let mut report = report();
        report.warnings = Heard { count: 7, first: vec!["worker: slow".into(), "worker: slower".into()] };
        let text = text(&report);
        assert!(text.contains("✗ 7, the first:\n    worker: slow\n    worker: slower"), "{text}");
        assert_eq!(serde_json::to_value(&report).unwrap()["warnings"]["count"], 7);
    }
}

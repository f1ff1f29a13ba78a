//! The report of a benchmark as a text for a person.

use std::collections::BTreeMap;

use paceline_bench::LoadSetup;
use paceline_bench::report::BenchReport;
use paceline_runtime::telemetry::warnings::Heard;

use crate::output::table;

pub fn text(report: &BenchReport) -> String {
    let mut rows = rates(report);
    rows.extend(latencies(report));
    let mean = report.batch_mean.map_or("–".to_owned(), |mean| format!("{mean:.0}"));
    rows.push(["batches".to_owned(), format!("{} of {mean} documents", report.batches)]);
    rows.extend(report.workers.iter().map(|(worker, jobs)| [worker.clone(), format!("{jobs} jobs")]));
    rows.push(["setup".to_owned(), setup(report)]);
    rows.push(["warnings".to_owned(), warnings(&report.warnings)]);
    rows.push(["proved".to_owned(), proved(report).to_owned()]);
    format!("{}\n\n{}", table([&report.mode.to_uppercase(), ""], &rows), processes(report))
}

/// The jobs and their rates: measured, asked for, and of the filling.
fn rates(report: &BenchReport) -> Vec<[String; 2]> {
    let mut rows = vec![
        ["jobs".to_owned(), format!("{} in {:.2} s", report.jobs, report.seconds)],
        ["jobs/s".to_owned(), format!("{:.0}", report.jobs_per_second)],
    ];
    let paced = report.asked_per_second.zip(report.achieved_per_second).zip(report.deviation_percent);
    if let Some(((asked, achieved), off)) = paced {
        rows.push(["enqueued/s".to_owned(), format!("{achieved:.2} of {asked:.2} asked ({off:+.3} %)")]);
    }
    if let Some(fill) = &report.fill {
        let filled = format!("in {:.2} s, {:.0} jobs/s", fill.seconds, fill.jobs_per_second);
        rows.push(["filled before".to_owned(), filled]);
    }
    rows
}

/// The latencies from due to stored, where there are any, and of the API.
fn latencies(report: &BenchReport) -> Vec<[String; 2]> {
    let ms = |value: Option<f64>| value.map_or("–".to_owned(), |ms| format!("{ms:.1}"));
    let mut rows = Vec::new();
    if report.p50_ms.is_some() {
        let (p50, p99, max) = (ms(report.p50_ms), ms(report.p99_ms), ms(report.max_ms));
        rows.push(["due to stored".to_owned(), format!("p50 {p50} ms, p99 {p99} ms, max {max} ms")]);
    }
    let (p50, p99) = (ms(report.getrun_p50_ms), ms(report.getrun_p99_ms));
    rows.push(["GetRun".to_owned(), format!("p50 {p50} ms, p99 {p99} ms, {} failed", report.getrun_failures)]);
    rows
}

/// The roles, then the services, then everything.
fn processes(report: &BenchReport) -> String {
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

fn setup(report: &BenchReport) -> String {
    let LoadSetup { workers, consumers, prefetch, batch, payload_bytes, .. } = &report.config;
    let cores = report.machine.cores;
    format!(
        "{workers} workers × {consumers} consumers, prefetch {prefetch}, batch ≤ {batch}, payload {payload_bytes} B, {cores} cores"
    )
}

fn proved(report: &BenchReport) -> &'static str {
    match report.verified {
        Some(true) => "✓ each job is stored and counted exactly once",
        Some(false) => "✗ no; what is missing is above",
        None => "not asked",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use paceline_bench::report::{Machine, MemorySample};
    use paceline_core::ids::RunId;

    fn report() -> BenchReport {
        BenchReport {
            mode: "drain",
            namespace: "bench-x".into(),
            run_id: RunId::parse("r").unwrap(),
            jobs: 40_000,
            seconds: 2.0,
            jobs_per_second: 20_000.0,
            cpu_us_per_job: BTreeMap::from([("worker", 10.0)]),
            machine_cpu_us_per_job: 50.0,
            services_cpu_us_per_job: BTreeMap::from([("sink", 20.0)]),
            rss_peak_bytes: BTreeMap::from([("worker", 50_000_000)]),
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
            machine: Machine { cores: 2, kernel: "6.1".into(), memory_bytes: None },
            config: LoadSetup { workers: 2, consumers: 64, prefetch: 10, batch: 1_000, payload_bytes: 0, verify: true },
        }
    }

    #[test]
    fn a_pace_is_shown_with_its_deviation() {
        let paced = BenchReport {
            asked_per_second: Some(1_000.0),
            achieved_per_second: Some(990.0),
            deviation_percent: Some(-1.0),
            ..report()
        };
        assert!(text(&paced).contains("990.00 of 1000.00 asked (-1.000 %)"));
    }

    #[test]
    fn the_text_has_every_role_and_says_what_is_unknown() {
        let rss_bytes = BTreeMap::from([("worker", 40_000_000)]);
        let text =
            text(&BenchReport { memory: vec![MemorySample { percent: 10, jobs: 4_000, rss_bytes }], ..report() });
        let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert!(lines.contains(&vec!["worker", "10.00", "50", "MB", "40", "MB", "–", "–"]), "{text}");
        assert!(lines.contains(&"whole machine, every process 50.00 – – – –".split(' ').collect()), "{text}");
        assert!(text.contains("not asked") && text.contains("✓ none"), "{text}");
    }

    #[test]
    fn warnings_are_counted_and_the_first_are_named() {
        let warnings = Heard { count: 7, first: vec!["worker: slow".into(), "worker: slower".into()] };
        let text = text(&BenchReport { warnings, ..report() });
        assert!(text.contains("✗ 7, the first:\n    worker: slow\n    worker: slower"), "{text}");
    }
}

//! `paceline plan`: what a pace takes of workers, processors, memory and disk, reckoned from measured [`costs`], line by line.
//!
//! It reads no settings and asks nobody. [`reckoning`] is the arithmetic, [`warnings`] says what it does not hold for.

mod costs;
mod reckoning;
mod warnings;

use clap::Args;
use paceline_core::Result;
use paceline_core::error::Violations;
use serde::Serialize;

use crate::exit::Exit;
use crate::output::{Output, table};
use costs::{Cost, Curve, Margin};
use reckoning::{Line, Reckoning};

/// The most jobs a second that a run may have, and its largest payload.
const RATE_MAX: f64 = 1_000_000.0;
const PAYLOAD_BYTES_MAX: u64 = 256 * 1024;
/// Longer than anybody waits for a job: a day.
const SERVICE_MS_MAX: f64 = 86_400_000.0;
const RETENTION_DAYS_MAX: f64 = 36_500.0;

/// Reckon what a pace takes: workers, processors, memory and disk, with the arithmetic line by line
///
/// The costs are measured ones of one kind of machine; each is listed with its source. `paceline bench` measures yours.
#[derive(Debug, Clone, Args, Serialize)]
pub struct Arguments {
    /// X of "X jobs every Y minutes"
    #[arg(long, value_name = "X")]
    jobs: u64,
    /// Y, which may have a fraction
    #[arg(long, value_name = "Y")]
    per_minutes: f64,
    /// The time that the handler works on a job, waiting included, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 0.0)]
    service_ms: f64,
    /// The part of that for which the handler computes, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 0.0)]
    cpu_ms: f64,
    /// The payload that each job carries
    #[arg(long, value_name = "BYTES", default_value_t = 0)]
    payload_bytes: u64,
    /// The time that documents are kept
    #[arg(long, value_name = "DAYS", default_value_t = 30.0)]
    retention_days: f64,
    /// Processors of one machine
    #[arg(long, value_name = "N", default_value_t = 4)]
    node_cores: u32,
    /// Memory of one machine
    #[arg(long, value_name = "GIB", default_value_t = 16.0)]
    node_gib: f64,
    /// Disk of one machine
    #[arg(long, value_name = "GIB", default_value_t = 500.0)]
    node_disk_gib: f64,
}

#[derive(Serialize)]
struct Plan<'a> {
    asked: &'a Arguments,
    lines: &'a [Line],
    warnings: &'a [String],
    /// Jobs a second at which the curves were measured.
    rates: [f64; 4],
    curves: &'a [Curve],
    costs: &'a [Cost],
    margins: &'a [Margin],
    left_out: [&'static str; 4],
}

/// The things that the figures do not contain.
const LEFT_OUT: [&str; 4] = [
    "A cluster: copies on other nodes multiply disk by their number; what they take of processors was not measured.",
    "Memory of Elasticsearch for its disk: that was measured with small indices, and does not grow here with what is kept. Give it more nodes.",
    "Jobs that are retried or fail, and searches of others in Elasticsearch.",
    "Another machine than the measured one: run `paceline bench pipeline` on yours and scale.",
];

pub fn execute(arguments: &Arguments, output: Output) -> anyhow::Result<Exit> {
    check(arguments)?;
    let reckoning = Reckoning::of(arguments);
    output.data(&plan(arguments, &reckoning), text)?;
    Ok(Exit::Done)
}

fn plan<'a>(asked: &'a Arguments, reckoning: &'a Reckoning) -> Plan<'a> {
    Plan {
        asked,
        lines: &reckoning.lines,
        warnings: &reckoning.warnings,
        rates: costs::RATES,
        curves: &costs::CURVES,
        costs: &costs::COSTS,
        margins: &costs::MARGINS,
        left_out: LEFT_OUT,
    }
}

/// Every mistake at once, a line for each.
fn check(arguments: &Arguments) -> Result<()> {
    let Arguments {
        jobs,
        per_minutes,
        service_ms,
        cpu_ms,
        payload_bytes,
        retention_days,
        node_cores,
        node_gib,
        node_disk_gib,
    } = *arguments;
    let mut violations = Violations::default();
    let mut must = |is_so: bool, field: &str, words: &str| {
        if !is_so {
            violations.add(field, words);
        }
    };
    must(jobs >= 1, "jobs", "must be at least 1");
    must(per_minutes.is_finite() && per_minutes > 0.0, "per-minutes", "must be above 0");
    let rate = jobs as f64 / (per_minutes * 60.0);
    must(!(rate > RATE_MAX && per_minutes > 0.0), "jobs", "a run has at most 1,000,000 jobs a second");
    must((0.0..=SERVICE_MS_MAX).contains(&service_ms), "service-ms", "must be 0 to 86,400,000, which is a day");
    must((0.0..=SERVICE_MS_MAX).contains(&cpu_ms), "cpu-ms", "must be 0 to 86,400,000, which is a day");
    must(service_ms == 0.0 || cpu_ms <= service_ms, "cpu-ms", "is a part of service-ms, so at most as much");
    must(payload_bytes <= PAYLOAD_BYTES_MAX, "payload-bytes", "must be at most 262,144: a payload has 256 KiB at most");
    must(
        (0.0..=RETENTION_DAYS_MAX).contains(&retention_days),
        "retention-days",
        "must be 0 to 36,500, which is a century",
    );
    must((1..=1024).contains(&node_cores), "node-cores", "must be 1 to 1,024");
    must((1.0..=65_536.0).contains(&node_gib), "node-gib", "must be 1 to 65,536");
    must((1.0..=1_048_576.0).contains(&node_disk_gib), "node-disk-gib", "must be 1 to 1,048,576");
    violations.check()
}

fn text(plan: &Plan<'_>) -> String {
    let rows: Vec<_> = plan.lines.iter().map(|line| [line.what.to_owned(), line.how.clone(), line.shown()]).collect();
    let costs: Vec<_> = plan
        .costs
        .iter()
        .map(|cost| {
            [
                format!("{} {}", cost.value, cost.unit),
                cost.name.to_owned(),
                cost.date.to_owned(),
                cost.source.to_owned(),
            ]
        })
        .collect();
    let curves: Vec<_> = plan
        .curves
        .iter()
        .map(|curve| {
            let [first, second, third, last] = curve.cpu_us.map(|cpu_us| cpu_us.to_string());
            [curve.name.to_owned(), first, second, third, last, curve.date.to_owned(), curve.source.to_owned()]
        })
        .collect();
    let rates = plan.rates.map(|rate| format!("{rate}/s"));
    let [first, second, third, last] = rates.each_ref().map(String::as_str);
    let warnings: String = plan.warnings.iter().map(|warning| format!("\n\nWarning: {warning}")).collect();
    let left_out = LEFT_OUT.map(|line| format!("  {line}")).join("\n");
    format!(
        "{}{warnings}\n\nMeasured: µs of a processor a job\n{}\n\nMeasured besides\n{}\n\nNot in these figures\n{left_out}",
        table(["WHAT", "HOW", "TAKES"], &rows),
        table(["OF", first, second, third, last, "MEASURED", "WHERE"], &curves),
        table(["COST", "OF", "MEASURED", "WHERE"], &costs),
    )
}

#[cfg(test)]
mod page_tests;

#[cfg(test)]
mod tests {
    use super::*;

    pub fn asked(jobs: u64, per_minutes: f64) -> Arguments {
        Arguments {
            jobs,
            per_minutes,
            service_ms: 0.0,
            cpu_ms: 0.0,
            payload_bytes: 0,
            retention_days: 30.0,
            node_cores: 4,
            node_gib: 16.0,
            node_disk_gib: 500.0,
        }
    }

    #[test]
    fn absurd_input_gets_one_line_for_each_mistake() {
        check(&asked(1_000, 1.0)).unwrap();
        check(&asked(60_000_000, 1.0)).unwrap();
        let absurd = Arguments {
            service_ms: -1.0,
            cpu_ms: f64::NAN,
            payload_bytes: u64::MAX,
            retention_days: f64::INFINITY,
            node_cores: 0,
            node_gib: 0.0,
            node_disk_gib: f64::NAN,
            ..asked(0, 0.0)
        };
        let wrong = check(&absurd).unwrap_err();
        let fields: Vec<_> = wrong.fields.iter().map(|violation| violation.field.as_str()).collect();
        assert_eq!(
            fields,
            [
                "jobs",
                "per-minutes",
                "service-ms",
                "cpu-ms",
                "cpu-ms",
                "payload-bytes",
                "retention-days",
                "node-cores",
                "node-gib",
                "node-disk-gib"
            ]
        );
        for (jobs, per_minutes) in [(u64::MAX, 1.0), (1, 1e-300), (60_000_001, 1.0)] {
            assert!(check(&asked(jobs, per_minutes)).unwrap_err().message.contains("1,000,000 jobs a second"));
        }
        for per_minutes in [f64::NAN, -1.0, f64::INFINITY] {
            assert!(check(&asked(1, per_minutes)).unwrap_err().message.contains("per-minutes"));
        }
    }

    #[test]
    fn the_text_shows_every_line_and_the_source_of_every_cost() {
        let asked = asked(1_000, 1.0);
        let reckoning = Reckoning::of(&asked);
        let text = text(&plan(&asked, &reckoning));
        assert!(reckoning.lines.iter().all(|line| text.contains(&line.how)), "{text}");
        assert!(!text.contains("Warning"), "{text}");
        let fast = super::tests::asked(60_000_000, 1.0);
        assert_eq!(super::text(&plan(&fast, &Reckoning::of(&fast))).matches("\nWarning: ").count(), 2);
        assert!(costs::CURVES.iter().all(|curve| text.contains(curve.source)), "{text}");
        assert!(costs::COSTS.iter().all(|cost| text.contains(cost.source) && text.contains(cost.date)), "{text}");
    }
}

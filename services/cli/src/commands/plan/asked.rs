//! The question of a plan: pace, jobs and machine, as flags, and their check.

use clap::Args;
use paceline_core::Result;
use paceline_core::error::{Violations, codes};
use paceline_core::pacing::RATE_PER_SECOND_MAX;
use paceline_core::run::PAYLOAD_BYTES_MAX;
use serde::Serialize;

/// Longer than anybody waits for a job: a day.
const SERVICE_MS_MAX: f64 = 86_400_000.0;
const RETENTION_DAYS_MAX: f64 = 36_500.0;

/// Reckon what a pace takes: workers, processors, memory and disk, with the arithmetic line by line
///
/// The costs are measured ones of one kind of machine; each is listed with its source. `paceline bench` measures yours.
#[derive(Debug, Clone, Args, Serialize)]
pub struct PlanArguments {
    /// X of "X jobs every Y minutes"
    #[arg(long, value_name = "X")]
    pub jobs: u64,
    /// Y, which may have a fraction
    #[arg(long, value_name = "Y")]
    pub per_minutes: f64,
    /// The time that the handler works on a job, waiting included, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 0.0)]
    pub service_ms: f64,
    /// The part of that for which the handler computes, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 0.0)]
    pub cpu_ms: f64,
    /// The payload that each job carries
    #[arg(long, value_name = "BYTES", default_value_t = 0)]
    pub payload_bytes: u64,
    /// The time that documents are kept
    #[arg(long, value_name = "DAYS", default_value_t = 30.0)]
    pub retention_days: f64,
    /// Processors of one machine
    #[arg(long, value_name = "N", default_value_t = 4)]
    pub node_cores: u32,
    /// Memory of one machine
    #[arg(long, value_name = "GIB", default_value_t = 16.0)]
    pub node_gib: f64,
    /// Disk of one machine
    #[arg(long, value_name = "GIB", default_value_t = 500.0)]
    pub node_disk_gib: f64,
}

impl PlanArguments {
    /// Refuses what no run or machine can be; the error has a line for each mistake.
    pub fn check(&self) -> Result<()> {
        let mut violations = Violations::default();
        let mut must = |is_so: bool, field: &str, words: &str| {
            if !is_so {
                violations.add(field, words);
            }
        };
        self.check_pace(&mut must);
        self.check_jobs(&mut must);
        self.check_machine(&mut must);
        violations.check_coded(codes::PLAN_INVALID)
    }

    fn check_pace(&self, must: &mut impl FnMut(bool, &str, &str)) {
        let Self { jobs, per_minutes, .. } = *self;
        must(jobs >= 1, "jobs", "must be at least 1");
        must(per_minutes.is_finite() && per_minutes > 0.0, "per-minutes", "must be above 0");
        let rate = jobs as f64 / (per_minutes * 60.0);
        must(
            !(rate > RATE_PER_SECOND_MAX as f64 && per_minutes > 0.0),
            "jobs",
            "a run has at most 1,000,000 jobs a second",
        );
    }

    fn check_jobs(&self, must: &mut impl FnMut(bool, &str, &str)) {
        let Self { service_ms, cpu_ms, payload_bytes, retention_days, .. } = *self;
        must((0.0..=SERVICE_MS_MAX).contains(&service_ms), "service-ms", "must be 0 to 86,400,000, which is a day");
        must((0.0..=SERVICE_MS_MAX).contains(&cpu_ms), "cpu-ms", "must be 0 to 86,400,000, which is a day");
        must(service_ms == 0.0 || cpu_ms <= service_ms, "cpu-ms", "is a part of service-ms, so at most as much");
        let is_small = payload_bytes <= PAYLOAD_BYTES_MAX as u64;
        must(is_small, "payload-bytes", "must be at most 262,144: a payload has 256 KiB at most");
        let is_kept = (0.0..=RETENTION_DAYS_MAX).contains(&retention_days);
        must(is_kept, "retention-days", "must be 0 to 36,500, which is a century");
    }

    fn check_machine(&self, must: &mut impl FnMut(bool, &str, &str)) {
        let Self { node_cores, node_gib, node_disk_gib, .. } = *self;
        must((1..=1024).contains(&node_cores), "node-cores", "must be 1 to 1,024");
        must((1.0..=65_536.0).contains(&node_gib), "node-gib", "must be 1 to 65,536");
        must((1.0..=1_048_576.0).contains(&node_disk_gib), "node-disk-gib", "must be 1 to 1,048,576");
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    pub fn asked(jobs: u64, per_minutes: f64) -> PlanArguments {
        PlanArguments {
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
        asked(1_000, 1.0).check().unwrap();
        asked(60_000_000, 1.0).check().unwrap();
        let absurd = PlanArguments {
            service_ms: -1.0,
            cpu_ms: f64::NAN,
            payload_bytes: u64::MAX,
            retention_days: f64::INFINITY,
            node_cores: 0,
            node_gib: 0.0,
            node_disk_gib: f64::NAN,
            ..asked(0, 0.0)
        };
        let wrong = absurd.check().unwrap_err();
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
            assert!(asked(jobs, per_minutes).check().unwrap_err().message.contains("1,000,000 jobs a second"));
        }
        for per_minutes in [f64::NAN, -1.0, f64::INFINITY] {
            assert!(asked(1, per_minutes).check().unwrap_err().message.contains("per-minutes"));
        }
    }
}

//! The measured costs that `paceline plan` reckons with: one table, each with where it was measured and when.
//!
//! They are of one kind of machine (two virtual AMD EPYC cores that carried everything at once, and other work besides). Whoever plans for
//! another one measures it with `paceline bench` and scales.

use serde::Serialize;

/// One measured number.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Cost {
    pub name: &'static str,
    pub value: f64,
    pub unit: &'static str,
    /// The page, and the place in it.
    pub source: &'static str,
    /// Of the measurement.
    pub date: &'static str,
}

/// The cost of a job to a processor, at each of [`RATES`]: the fewer jobs a second, the fewer share a request.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Curve {
    pub name: &'static str,
    /// Microseconds a job.
    pub cpu_us: [f64; 4],
    pub source: &'static str,
    pub date: &'static str,
}

const SIZING: &str = "docs/operations/sizing.md, What was measured";
const NOV_26: &str = "2026-11-26";

const fn cost(name: &'static str, value: f64, unit: &'static str, source: &'static str) -> Cost {
    Cost { name, value, unit, source, date: NOV_26 }
}

const fn curve(name: &'static str, cpu_us: [f64; 4]) -> Curve {
    Curve { name, cpu_us, source: SIZING, date: NOV_26 }
}

/// Jobs a second at which curves were measured; the last is as fast as that machine went.
pub const RATES: [f64; 4] = [16.7, 100.0, 1_000.0, 6_600.0];

pub const WORKER: Curve = curve("workers", [860.0, 490.0, 66.0, 23.5]);
pub const SCHEDULER: Curve = curve("schedulers", [1_030.0, 447.0, 67.0, 2.3]);
pub const PRODUCER: Curve = curve("producers", [660.0, 427.0, 88.0, 13.6]);
pub const BROKER: Curve = curve("RabbitMQ", [2_390.0, 1_095.0, 254.0, 80.9]);
pub const SINK: Curve = curve("Elasticsearch", [2_940.0, 2_242.0, 434.0, 56.1]);
pub const LEDGER: Curve = curve("Redis", [1_130.0, 575.0, 70.0, 4.6]);

pub const WORKER_MIB: Cost = cost("a worker at work", 34.0, "MiB", SIZING);
pub const HELD_JOB_BYTES: Cost = cost("a job that a worker holds, beside its payload", 2_200.0, "bytes", SIZING);
pub const SCHEDULER_MIB: Cost = cost("a scheduler at work", 21.0, "MiB", SIZING);
pub const PRODUCER_MIB: Cost = cost("a producer at work", 42.0, "MiB", SIZING);
pub const BROKER_MIB: Cost = cost("RabbitMQ at work", 484.0, "MiB", SIZING);
pub const SINK_MIB: Cost = cost("Elasticsearch with a heap of 1 GiB", 1_300.0, "MiB", SIZING);
pub const LEDGER_MIB: Cost = cost("Redis with a handful of runs", 13.0, "MiB", SIZING);
pub const DOCUMENT_BYTES: Cost = cost("a document on Elasticsearch's disk, beside its payload", 298.0, "bytes", SIZING);
pub const BROKER_BYTES: Cost = cost("a message on RabbitMQ's disk, beside its payload", 633.0, "bytes", SIZING);

/// All of them, as the text lists them.
pub const CURVES: [Curve; 6] = [WORKER, SCHEDULER, PRODUCER, BROKER, SINK, LEDGER];
pub const COSTS: [Cost; 9] = [
    WORKER_MIB,
    HELD_JOB_BYTES,
    SCHEDULER_MIB,
    PRODUCER_MIB,
    BROKER_MIB,
    SINK_MIB,
    LEDGER_MIB,
    DOCUMENT_BYTES,
    BROKER_BYTES,
];

impl Curve {
    /// Processors that are busy at `rate`: on the straight line between the two measured rates around it, and never fewer than at a lower
    /// rate.
    pub fn cores(&self, rate: f64) -> f64 {
        let measured = |point: usize| RATES[point] * self.cpu_us[point] / 1e6;
        let at = |point: usize| (0..=point).map(measured).fold(0.0, f64::max);
        let last = RATES.len() - 1;
        match self.around(rate) {
            Around::Below => rate * self.cpu_us[0] / 1e6,
            Around::Above => at(last).max(rate * self.cpu_us[last] / 1e6),
            Around::Between(low) => {
                let share = (rate - RATES[low]) / (RATES[low + 1] - RATES[low]);
                at(low) + share * (at(low + 1) - at(low))
            }
        }
    }

    /// The same in words.
    pub fn how(&self, rate: f64) -> String {
        let last = RATES.len() - 1;
        match self.around(rate) {
            Around::Below => format!("× {} µs", self.cpu_us[0]),
            Around::Above => format!("× {} µs", self.cpu_us[last]),
            Around::Between(low) if rate == RATES[low + 1] => format!("× {} µs", self.cpu_us[low + 1]),
            Around::Between(low) => {
                let at = |point: usize| format!("{}/s × {} µs", RATES[point], self.cpu_us[point]);
                format!("between {} and {}", at(low), at(low + 1))
            }
        }
    }

    fn around(&self, rate: f64) -> Around {
        match RATES.iter().position(|measured| rate <= *measured) {
            Some(0) => Around::Below,
            Some(above) => Around::Between(above - 1),
            None => Around::Above,
        }
    }
}

enum Around {
    Below,
    Between(usize),
    Above,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_jobs_never_take_fewer_processors_and_measured_rates_take_no_less_than_measured() {
        for curve in CURVES {
            for (rate, cpu_us) in RATES.into_iter().zip(curve.cpu_us) {
                assert!(curve.cores(rate) > rate * cpu_us / 1e6 - 1e-9, "{} at {rate}", curve.name);
            }
            let mut last = 0.0;
            for step in 1..100_000 {
                let cores = curve.cores(f64::from(step));
                assert!(cores >= last, "{} at {step}", curve.name);
                last = cores;
            }
        }
    }
}

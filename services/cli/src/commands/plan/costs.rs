//! The measured costs that `paceline plan` reckons with: one table, each with where it was measured and when.
//!
//! They are of one kind of machine (two virtual AMD EPYC cores that carried everything at once, and other work besides). Whoever plans for
//! another one measures it with `paceline bench` and scales.

use serde::Serialize;

use super::reckoning::number;

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

/// A margin or a rule that a plan keeps; nobody measured it.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Margin {
    pub name: &'static str,
    pub value: f64,
    pub unit: &'static str,
}

const SIZING: &str = "docs/operations/sizing.md, What was measured";
const NOV_26: &str = "2026-11-26";

const fn cost(name: &'static str, value: f64, unit: &'static str, source: &'static str) -> Cost {
    Cost { name, value, unit, source, date: NOV_26 }
}

const fn margin(name: &'static str, value: f64, unit: &'static str) -> Margin {
    Margin { name, value, unit }
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
pub const BROKER_MIB: Cost = cost("RabbitMQ with 300,000 messages in a queue", 484.0, "MiB", SIZING);
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

/// The rest of a processor, or of a worker's places, is for bursts, catching up, and whatever else runs.
pub const SHARE: Margin = margin("share of a processor, or of a worker's places, that is planned for", 0.7, "");
/// Elasticsearch stops giving shards to a node whose disk is fuller.
pub const DISK_SHARE: Margin = margin("share of Elasticsearch's disk that is planned for", 0.85, "");
pub const LEDGER_BITS: Margin = margin("a job in Redis: one bit, and one for the dead", 2.0, "bits");
pub const LEDGER_COPIES: Margin = margin("Redis' memory, for while its file is written anew", 2.0, "times its data");
pub const LEDGER_DISK: Margin = margin("Redis' disk, for the old file and the new one", 3.0, "times its data");
pub const LEDGER_DISK_GIB: Margin = margin("Redis' disk, at least", 0.75, "GiB");
/// 128 consumers with a prefetch of 10.
pub const WORKER_PLACES: Margin = margin("jobs that a worker holds by default", 1_280.0, "jobs");
pub const ROLES_MIN: Margin = margin("processes of each role, so that one may go", 2.0, "processes");
/// The default of `high_water`, at which runs hold back.
pub const HIGH_WATER: Margin = margin("ready jobs of a full queue", 1_000_000.0, "jobs");
/// Lucene's limit; the template of Paceline has one shard an index.
pub const INDEX_DOCUMENTS_MAX: Margin =
    margin("documents of an index of one shard, at most", 2_147_483_519.0, "documents");

pub const MARGINS: [Margin; 10] = [
    SHARE,
    DISK_SHARE,
    LEDGER_BITS,
    LEDGER_COPIES,
    LEDGER_DISK,
    LEDGER_DISK_GIB,
    WORKER_PLACES,
    ROLES_MIN,
    HIGH_WATER,
    INDEX_DOCUMENTS_MAX,
];

/// The fastest rate that was measured.
pub const RATE_MEASURED_MAX: f64 = RATES[RATES.len() - 1];

impl Curve {
    /// Processors that are busy at `rate`: on the straight line between the two measured rates around it, and never fewer than at a lower
    /// rate.
    pub fn cores(&self, rate: f64) -> f64 {
        let last = RATES.len() - 1;
        match self.around(rate) {
            Around::Below => rate * self.cpu_us[0] / 1e6,
            Around::Above => self.floor(last).max(rate * self.cpu_us[last] / 1e6),
            Around::Between(low) => {
                let share = (rate - RATES[low]) / (RATES[low + 1] - RATES[low]);
                self.floor(low) + share * (self.floor(low + 1) - self.floor(low))
            }
        }
    }

    /// The same in words, whose arithmetic gives [`Self::cores`].
    pub fn how(&self, rate: f64) -> String {
        let last = RATES.len() - 1;
        let each = |point: usize| format!("{} jobs/s × {} µs", number(rate), self.cpu_us[point]);
        match self.around(rate) {
            Around::Below => each(0),
            Around::Above if rate * self.cpu_us[last] / 1e6 >= self.floor(last) => each(last),
            Around::Above => self.floor_in_words(last),
            Around::Between(low) if self.floor(low + 1) == self.floor(low) => self.floor_in_words(low),
            Around::Between(low) if rate == RATES[low + 1] => each(low + 1),
            Around::Between(low) => {
                format!(
                    "{} jobs/s between {} and {}",
                    number(rate),
                    self.measured_in_words(low),
                    self.measured_in_words(low + 1)
                )
            }
        }
    }

    fn measured(&self, point: usize) -> f64 {
        RATES[point] * self.cpu_us[point] / 1e6
    }

    /// The measured point of the most cores, up to `point`.
    fn most(&self, point: usize) -> usize {
        (0..=point).rev().max_by(|a, b| self.measured(*a).total_cmp(&self.measured(*b))).unwrap_or(0)
    }

    /// Cores at a measured point: never fewer than at one of a lower rate.
    fn floor(&self, point: usize) -> f64 {
        self.measured(self.most(point))
    }

    fn floor_in_words(&self, point: usize) -> String {
        let most = self.most(point);
        format!("no fewer than the {} cores of {}/s", number(self.measured(most)), RATES[most])
    }

    fn measured_in_words(&self, point: usize) -> String {
        if self.most(point) == point {
            return format!("{}/s × {} µs", RATES[point], self.cpu_us[point]);
        }
        self.floor_in_words(point)
    }

    fn around(&self, rate: f64) -> Around {
        match RATES.iter().position(|measured| rate <= *measured) {
            Some(0) => Around::Below,
            Some(above) => Around::Between(above - 1),
            None => Around::Above,
        }
    }
}

impl std::fmt::Display for Margin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.value.fmt(f)
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

    fn near(said: f64, value: f64) -> bool {
        (said - value).abs() <= value * 0.006
    }

    fn words(text: &str) -> f64 {
        text.replace(',', "").parse().unwrap_or_else(|_| panic!("{text:?} is no number"))
    }

    /// `R/s × C µs`, as rate and cores.
    fn point(text: &str) -> (f64, f64) {
        let (rate, cpu_us) = text.split_once("/s × ").unwrap_or_else(|| panic!("{text:?} is no point"));
        let (rate, cpu_us) = (words(rate.trim_end_matches(" jobs")), words(cpu_us.trim_end_matches(" µs")));
        (rate, rate * cpu_us / 1e6)
    }

    /// The cores that the words reckon, and nothing else.
    fn reckoned(how: &str) -> f64 {
        if let Some(rest) = how.strip_prefix("no fewer than the ") {
            return words(rest.split_once(" cores of ").unwrap().0);
        }
        let Some((rate, points)) = how.split_once(" jobs/s between ") else {
            return point(how).1;
        };
        let (low, high) = points.split_once(" and ").unwrap();
        let ((low, low_cores), (high, high_cores)) = (point(low), point(high));
        low_cores + (words(rate) - low) / (high - low) * (high_cores - low_cores)
    }

    #[test]
    fn the_arithmetic_of_the_words_gives_the_value() {
        let rates =
            [1.0, 10.0, 16.7, 50.0, 100.0, 500.0, 1_000.0, 2_000.0, 5_500.0, 6_600.0, 7_000.0, 15_000.0, 30_000.0, 1e6];
        for curve in CURVES {
            for rate in rates {
                let (how, cores) = (curve.how(rate), curve.cores(rate));
                assert!(near(reckoned(&how), cores), "{} at {rate}: {how} is not {cores}", curve.name);
            }
        }
        assert_eq!(SCHEDULER.how(3_000.0), "no fewer than the 0.067 cores of 1000/s");
        assert_eq!(SCHEDULER.how(30_000.0), "30000 jobs/s × 2.3 µs");
        assert_eq!(WORKER.how(500.0), "500 jobs/s between 100/s × 490 µs and 1000/s × 66 µs");
    }

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

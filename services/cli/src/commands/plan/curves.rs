//! The measured cost of a job to the processors of each role and service, by rate, and the cores that a rate takes by it.
//!
//! The curves were measured where the [`costs`](super::costs) were.

use serde::Serialize;

use super::costs::{MEASURED, SIZING};
use super::number::number;

/// The cost of a job to a processor, at each of [`RATES`]: the fewer jobs a second, the fewer share a request.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Curve {
    pub name: &'static str,
    /// Microseconds a job.
    pub cpu_us: [f64; 4],
    pub source: &'static str,
    pub date: &'static str,
}

const fn curve(name: &'static str, cpu_us: [f64; 4]) -> Curve {
    Curve { name, cpu_us, source: SIZING, date: MEASURED }
}

/// Jobs a second at which curves were measured; the last is as fast as that machine went.
pub const RATES: [f64; 4] = [16.7, 100.0, 1_000.0, 6_600.0];

pub const WORKER: Curve = curve("workers", [860.0, 490.0, 66.0, 23.5]);
pub const SCHEDULER: Curve = curve("schedulers", [1_030.0, 447.0, 67.0, 2.3]);
pub const PRODUCER: Curve = curve("producers", [660.0, 427.0, 88.0, 13.6]);
pub const BROKER: Curve = curve("RabbitMQ", [2_390.0, 1_095.0, 254.0, 80.9]);
pub const SINK: Curve = curve("Elasticsearch", [2_940.0, 2_242.0, 434.0, 56.1]);
pub const LEDGER: Curve = curve("Redis", [1_130.0, 575.0, 70.0, 4.6]);

/// All of them, as the text lists them.
pub const CURVES: [Curve; 6] = [WORKER, SCHEDULER, PRODUCER, BROKER, SINK, LEDGER];

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

    /// The arithmetic of [`Self::cores`] in words.
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

/// The place of a rate among [`RATES`]; a number is that of the measured rate below.
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

//! The arithmetic of a plan: each line says what it is, how it was reckoned, and the result.

use serde::Serialize;

use super::Arguments;
use super::costs::{
    self, BROKER_BYTES, BROKER_MIB, Curve, DOCUMENT_BYTES, HELD_JOB_BYTES, LEDGER_MIB, PRODUCER_MIB, SCHEDULER_MIB,
    SINK_MIB, WORKER_MIB,
};

/// The share of a processor, or of the places of a worker, that is planned for: the rest is for bursts, catching up, and whatever else runs.
const SHARE: f64 = 0.7;
/// Jobs that a worker holds by default: 128 consumers with a prefetch of 10.
const WORKER_PLACES: f64 = 1_280.0;
const WORKER_CONSUMERS: f64 = 128.0;
const PREFETCH: f64 = 10.0;
/// Of each role, so that one may go.
const ROLES_MIN: f64 = 2.0;
/// Elasticsearch stops giving shards to a node whose disk is fuller.
const DISK_SHARE: f64 = 0.85;
/// Ready jobs of a queue at which runs hold back (`high_water`).
const HIGH_WATER: f64 = 1_000_000.0;
/// A bit for each job, and one for the dead; Redis needs as much again while it writes its file anew.
const LEDGER_BITS: f64 = 2.0;
const MIB: f64 = 1024.0 * 1024.0;
const GIB: f64 = 1024.0 * MIB;

#[derive(Debug, Clone, Serialize)]
pub struct Line {
    pub what: &'static str,
    pub how: String,
    pub value: f64,
    pub unit: &'static str,
}

pub struct Reckoning {
    pub lines: Vec<Line>,
}

impl Reckoning {
    pub fn of(asked: &Arguments) -> Self {
        let mut all = Self { lines: Vec::new() };
        let rate = all.line(
            "pace",
            format!("{} jobs / ({} min × 60 s)", asked.jobs, asked.per_minutes),
            asked.jobs as f64 / (asked.per_minutes * 60.0),
            "jobs/s",
        );
        let workers = all.workers(asked, rate);
        let cores = all.cores(asked, rate);
        let gib = all.memory(asked, rate, workers);
        all.disk(asked, rate);
        all.nodes(asked, cores, gib);
        all
    }

    fn line(&mut self, what: &'static str, how: String, value: f64, unit: &'static str) -> f64 {
        self.lines.push(Line { what, how, value, unit });
        value
    }

    fn workers(&mut self, asked: &Arguments, rate: f64) -> f64 {
        let at_work = self.line(
            "jobs at work at once",
            format!("{} jobs/s × {} ms", number(rate), asked.service_ms),
            rate * asked.service_ms / 1_000.0,
            "jobs",
        );
        let places =
            self.line("places for them", format!("{} / {SHARE}", number(at_work)), (at_work / SHARE).ceil(), "places");
        let cores = self.line(
            "processors of workers",
            format!("({} jobs/s {} + {} ms each) / {SHARE}", number(rate), costs::WORKER.how(rate), asked.cpu_ms),
            worker_cores(asked, rate),
            "cores",
        );
        let workers = (places / WORKER_PLACES).ceil().max(cores.ceil()).max(ROLES_MIN);
        let how = format!(
            "the most of {} places / {WORKER_PLACES}, {} cores on one thread each, {ROLES_MIN}",
            number(places),
            number(cores)
        );
        self.line("workers", how, workers, "processes");
        self.line(
            "consumers that the places need",
            format!("{} places / a prefetch of {PREFETCH}", number(places)),
            (places / PREFETCH).ceil(),
            "consumers",
        );
        self.line(
            "consumers that there are",
            format!("{workers} workers × {WORKER_CONSUMERS}"),
            workers * WORKER_CONSUMERS,
            "consumers",
        );
        workers
    }

    /// Of all together.
    fn cores(&mut self, asked: &Arguments, rate: f64) -> f64 {
        let mut parts = vec![worker_cores(asked, rate)];
        let others = [
            ("processors of schedulers", costs::SCHEDULER),
            ("processors of producers", costs::PRODUCER),
            ("processors of RabbitMQ", costs::BROKER),
            ("processors of Elasticsearch", costs::SINK),
            ("processors of Redis", costs::LEDGER),
        ];
        for (what, curve) in others {
            let how = format!("{} jobs/s {} / {SHARE}", number(rate), curve.how(rate));
            parts.push(self.line(what, how, planned(curve, rate), "cores"));
        }
        let sum = parts.iter().sum();
        self.line("processors", parts.into_iter().map(number).collect::<Vec<_>>().join(" + "), sum, "cores")
    }

    fn memory(&mut self, asked: &Arguments, rate: f64, workers: f64) -> f64 {
        let payload = asked.payload_bytes as f64;
        let workers = self.line(
            "memory of workers",
            format!(
                "{workers} × ({} MiB + {WORKER_PLACES} held × ({} + {payload}) bytes)",
                WORKER_MIB.value, HELD_JOB_BYTES.value
            ),
            workers * (WORKER_MIB.value * MIB + WORKER_PLACES * (HELD_JOB_BYTES.value + payload)) / GIB,
            "GiB",
        );
        let roles = self.line(
            "memory of schedulers and producers",
            format!("{ROLES_MIN} × ({} + {}) MiB", SCHEDULER_MIB.value, PRODUCER_MIB.value),
            ROLES_MIN * (SCHEDULER_MIB.value + PRODUCER_MIB.value) * MIB / GIB,
            "GiB",
        );
        let broker =
            self.line("memory of RabbitMQ", format!("{} MiB", BROKER_MIB.value), BROKER_MIB.value * MIB / GIB, "GiB");
        let sink =
            self.line("memory of Elasticsearch", format!("{} MiB", SINK_MIB.value), SINK_MIB.value * MIB / GIB, "GiB");
        let days = asked.retention_days;
        let ledger = self.line(
            "memory of Redis",
            format!(
                "({} MiB + {} jobs/s × 86,400 s × {days} days × {LEDGER_BITS} bits / 8) × 2 while its file is written anew",
                LEDGER_MIB.value,
                number(rate)
            ),
            (LEDGER_MIB.value * MIB + rate * 86_400.0 * days * LEDGER_BITS / 8.0) * 2.0 / GIB,
            "GiB",
        );
        let parts = [workers, roles, broker, sink, ledger];
        self.line("memory", parts.map(number).join(" + "), parts.iter().sum(), "GiB")
    }

    fn disk(&mut self, asked: &Arguments, rate: f64) {
        let (payload, days) = (asked.payload_bytes as f64, asked.retention_days);
        let bytes = DOCUMENT_BYTES.value + payload;
        let sink = self.line(
            "disk of Elasticsearch",
            format!(
                "{} jobs/s × 86,400 s × {days} days × ({} + {payload}) bytes / {DISK_SHARE}",
                number(rate),
                DOCUMENT_BYTES.value
            ),
            rate * 86_400.0 * days * bytes / DISK_SHARE / GIB,
            "GiB",
        );
        let broker = self.line(
            "disk of RabbitMQ, with a full queue",
            format!("{HIGH_WATER} jobs × ({} + {payload}) bytes", BROKER_BYTES.value),
            HIGH_WATER * (BROKER_BYTES.value + payload) / GIB,
            "GiB",
        );
        let data = (LEDGER_MIB.value * MIB + rate * 86_400.0 * days * LEDGER_BITS / 8.0) / GIB;
        let ledger = self.line(
            "disk of Redis",
            format!("3 × {} GiB of data, at least 0.75", number(data)),
            (3.0 * data).max(0.75),
            "GiB",
        );
        let parts = [sink, broker, ledger];
        self.line("disk", parts.map(number).join(" + "), parts.iter().sum(), "GiB");
    }

    fn nodes(&mut self, asked: &Arguments, cores: f64, gib: f64) {
        let (node_cores, node_gib) = (f64::from(asked.node_cores), asked.node_gib);
        let nodes = (cores / node_cores).ceil().max((gib / node_gib).ceil()).max(1.0);
        let how = format!("the most of {} cores / {node_cores} and {} GiB / {node_gib}", number(cores), number(gib));
        self.line("machines; three for a cluster", how, nodes, "machines");
    }
}

fn planned(curve: Curve, rate: f64) -> f64 {
    curve.cores(rate) / SHARE
}

fn worker_cores(asked: &Arguments, rate: f64) -> f64 {
    planned(costs::WORKER, rate) + rate * asked.cpu_ms / 1_000.0 / SHARE
}

impl Line {
    pub fn shown(&self) -> String {
        format!("{} {}", number(self.value), self.unit)
    }
}

/// Three digits that count, or all digits before the point.
fn number(value: f64) -> String {
    let decimals = match value.abs() {
        0.0 => 0,
        small if small < 0.01 => 4,
        small if small < 1.0 => 3,
        small if small < 10.0 => 2,
        small if small < 1_000.0 => 1,
        _ => 0,
    };
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::super::tests::asked;
    use super::*;

    fn value(reckoning: &Reckoning, what: &str) -> f64 {
        reckoning.lines.iter().find(|line| line.what == what).unwrap_or_else(|| panic!("no {what}")).value
    }

    #[test]
    fn a_small_pace_takes_the_least_of_everything() {
        let reckoning = Reckoning::of(&asked(1_000, 1.0));
        assert!((value(&reckoning, "pace") - 16.667).abs() < 0.001);
        assert_eq!((value(&reckoning, "workers"), value(&reckoning, "machines; three for a cluster")), (2.0, 1.0));
        assert!(value(&reckoning, "processors") < 1.0);
    }

    /// 1,000 jobs a second of two seconds are 2,000 at once, which need 2,858 places, so three workers of 1,280.
    #[test]
    fn handlers_that_wait_need_places_and_those_that_compute_need_processors() {
        let waiting = Reckoning::of(&Arguments { service_ms: 2_000.0, ..asked(60_000, 1.0) });
        assert_eq!(value(&waiting, "jobs at work at once"), 2_000.0);
        assert_eq!((value(&waiting, "places for them"), value(&waiting, "workers")), (2_858.0, 3.0));
        let computing = Reckoning::of(&Arguments { service_ms: 10.0, cpu_ms: 7.0, ..asked(60_000, 1.0) });
        assert_eq!(value(&computing, "workers"), 11.0, "7 cores and a bit, at seven tenths");
    }

    #[test]
    fn disk_follows_payload_and_retention_and_no_number_is_odd() {
        let (short, long) = (Reckoning::of(&asked(60_000, 1.0)), {
            let asked = Arguments { retention_days: 60.0, payload_bytes: 1_000, ..asked(60_000, 1.0) };
            Reckoning::of(&asked)
        });
        assert!(value(&long, "disk of Elasticsearch") > 2.0 * value(&short, "disk of Elasticsearch"));
        let extreme = Arguments {
            service_ms: 86_400_000.0,
            cpu_ms: 86_400_000.0,
            payload_bytes: 262_144,
            ..asked(60_000_000, 1.0)
        };
        for reckoning in [short, long, Reckoning::of(&extreme)] {
            assert!(reckoning.lines.iter().all(|line| line.value.is_finite() && line.value >= 0.0));
        }
    }

    #[test]
    fn numbers_are_short() {
        let shown = [0.0, 0.0012, 0.5, 16.667, 2_858.0, 1_234_567.8].map(number);
        assert_eq!(shown, ["0", "0.0012", "0.5", "16.7", "2858", "1234568"]);
    }
}

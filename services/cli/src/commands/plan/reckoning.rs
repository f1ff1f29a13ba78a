//! The arithmetic of a plan: each line says what it is, how it was reckoned, and the result.

use serde::Serialize;

use super::Arguments;
use super::costs::{
    self, BROKER_BYTES, BROKER_MIB, Curve, DISK_SHARE, DOCUMENT_BYTES, HELD_JOB_BYTES, HIGH_WATER, INDEX_DOCUMENTS_MAX,
    LEDGER_BITS, LEDGER_COPIES, LEDGER_DISK, LEDGER_DISK_GIB, LEDGER_MIB, PRODUCER_MIB, ROLES_MIN, SCHEDULER_MIB,
    SHARE, SINK_MIB, WORKER_MIB, WORKER_PLACES,
};
use super::warnings;

const WORKER_CONSUMERS: f64 = 128.0;
const PREFETCH: f64 = 10.0;
const DAY_SECONDS: f64 = 86_400.0;
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
    /// Each says where this plan leaves what was measured, or what it runs into.
    pub warnings: Vec<String>,
}

impl Reckoning {
    pub fn of(asked: &Arguments) -> Self {
        let mut all = Self { lines: Vec::new(), warnings: Vec::new() };
        let rate = all.line(
            "pace",
            format!("{} jobs / ({} min × 60 s)", asked.jobs, asked.per_minutes),
            asked.jobs as f64 / (asked.per_minutes * 60.0),
            "jobs/s",
        );
        let workers = all.workers(asked, rate);
        let cores = all.cores(asked, rate);
        let gib = all.memory(asked, rate, workers);
        let disk_gib = all.disk(asked, rate);
        all.index(asked, rate);
        all.nodes(asked, cores, gib, disk_gib);
        all
    }

    fn line(&mut self, what: &'static str, how: String, value: f64, unit: &'static str) -> f64 {
        self.lines.push(Line { what, how, value, unit });
        value
    }

    fn workers(&mut self, asked: &Arguments, rate: f64) -> f64 {
        // A job that computes is at work for that long, whatever was said of waiting.
        let work_ms = asked.service_ms.max(asked.cpu_ms);
        let at_work = self.line(
            "jobs at work at once",
            format!("{} jobs/s × {work_ms} ms", number(rate)),
            rate * work_ms / 1_000.0,
            "jobs",
        );
        let places = self.line(
            "places for them",
            format!("{} / {SHARE}", number(at_work)),
            (at_work / SHARE.value).ceil(),
            "places",
        );
        let cores = self.line(
            "processors of workers",
            format!("({} + {} jobs/s × {} ms) / {SHARE}", costs::WORKER.how(rate), number(rate), asked.cpu_ms),
            worker_cores(asked, rate),
            "cores",
        );
        let workers = (places / WORKER_PLACES.value).ceil().max(cores.ceil()).max(ROLES_MIN.value);
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
            let how = format!("({}) / {SHARE}", curve.how(rate));
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
            workers * (WORKER_MIB.value * MIB + WORKER_PLACES.value * (HELD_JOB_BYTES.value + payload)) / GIB,
            "GiB",
        );
        let roles = self.line(
            "memory of schedulers and producers",
            format!("{ROLES_MIN} × ({} + {}) MiB", SCHEDULER_MIB.value, PRODUCER_MIB.value),
            ROLES_MIN.value * (SCHEDULER_MIB.value + PRODUCER_MIB.value) * MIB / GIB,
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
                "({} MiB + {} jobs/s × 86,400 s × {days} days × {LEDGER_BITS} bits / 8) × {LEDGER_COPIES} while its file is written anew",
                LEDGER_MIB.value,
                number(rate)
            ),
            ledger_gib(rate, days) * LEDGER_COPIES.value,
            "GiB",
        );
        let parts = [workers, roles, broker, sink, ledger];
        self.line("memory", parts.map(number).join(" + "), parts.iter().sum(), "GiB")
    }

    fn disk(&mut self, asked: &Arguments, rate: f64) -> f64 {
        let (payload, days) = (asked.payload_bytes as f64, asked.retention_days);
        let bytes = DOCUMENT_BYTES.value + payload;
        let sink = self.line(
            "disk of Elasticsearch",
            format!(
                "{} jobs/s × 86,400 s × {days} days × ({} + {payload}) bytes / {DISK_SHARE}",
                number(rate),
                DOCUMENT_BYTES.value
            ),
            rate * DAY_SECONDS * days * bytes / DISK_SHARE.value / GIB,
            "GiB",
        );
        let broker = self.line(
            "disk of RabbitMQ, with a full queue",
            format!("{HIGH_WATER} jobs × ({} + {payload}) bytes", BROKER_BYTES.value),
            HIGH_WATER.value * (BROKER_BYTES.value + payload) / GIB,
            "GiB",
        );
        let data = ledger_gib(rate, days);
        let ledger = self.line(
            "disk of Redis",
            format!("{LEDGER_DISK} × {} GiB of data, at least {LEDGER_DISK_GIB}", number(data)),
            (LEDGER_DISK.value * data).max(LEDGER_DISK_GIB.value),
            "GiB",
        );
        let parts = [sink, broker, ledger];
        self.line("disk", parts.map(number).join(" + "), parts.iter().sum(), "GiB")
    }

    /// An index has the documents of all runs that were started on one day, however long they go on.
    fn index(&mut self, asked: &Arguments, rate: f64) {
        let day = self.line(
            "documents of an index, of a day's runs that last a day",
            format!("{} jobs/s × 86,400 s; at most {INDEX_DOCUMENTS_MAX}", number(rate)),
            rate * DAY_SECONDS,
            "documents",
        );
        self.warnings = warnings::of(asked, rate, INDEX_DOCUMENTS_MAX.value / day);
    }

    fn nodes(&mut self, asked: &Arguments, cores: f64, gib: f64, disk_gib: f64) {
        let (node_cores, node_gib, node_disk_gib) = (f64::from(asked.node_cores), asked.node_gib, asked.node_disk_gib);
        let each = [cores / node_cores, gib / node_gib, disk_gib / node_disk_gib];
        let nodes = each.into_iter().map(f64::ceil).fold(1.0, f64::max);
        let how = format!(
            "the most of {} cores / {node_cores}, {} GiB of memory / {node_gib}, {} GiB of disk / {node_disk_gib}",
            number(cores),
            number(gib),
            number(disk_gib)
        );
        self.line("machines; three for a cluster", how, nodes, "machines");
    }
}

/// One set of data of Redis.
fn ledger_gib(rate: f64, days: f64) -> f64 {
    (LEDGER_MIB.value * MIB + rate * DAY_SECONDS * days * LEDGER_BITS.value / 8.0) / GIB
}

fn planned(curve: Curve, rate: f64) -> f64 {
    curve.cores(rate) / SHARE.value
}

fn worker_cores(asked: &Arguments, rate: f64) -> f64 {
    planned(costs::WORKER, rate) + rate * asked.cpu_ms / 1_000.0 / SHARE.value
}

impl Line {
    pub fn shown(&self) -> String {
        format!("{} {}", number(self.value), self.unit)
    }
}

/// Three digits that count, or all digits before the point.
pub fn number(value: f64) -> String {
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
        let said_once = Reckoning::of(&Arguments { cpu_ms: 7.0, ..asked(60_000, 1.0) });
        assert_eq!(value(&said_once, "jobs at work at once"), 7.0, "who computes is at work");
    }

    #[test]
    fn machines_have_room_for_the_disk_too() {
        let kept = Arguments { retention_days: 365.0, ..asked(60_000, 1.0) };
        let (reckoning, larger) =
            (Reckoning::of(&kept), Reckoning::of(&Arguments { node_disk_gib: 100_000.0, ..kept.clone() }));
        assert_eq!(value(&reckoning, "machines; three for a cluster"), (value(&reckoning, "disk") / 500.0).ceil());
        assert!(value(&larger, "machines; three for a cluster") < 5.0);
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

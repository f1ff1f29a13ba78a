//! Memory and disk that a rate takes, in GiB.

use super::asked::PlanArguments;
use super::costs::{
    BROKER_BYTES, BROKER_MIB, DISK_SHARE, DOCUMENT_BYTES, HELD_JOB_BYTES, HIGH_WATER, LEDGER_BITS, LEDGER_COPIES,
    LEDGER_DISK, LEDGER_DISK_GIB, LEDGER_MIB, PRODUCER_MIB, ROLES_MIN, SCHEDULER_MIB, SINK_MIB, WORKER_MIB,
    WORKER_PLACES,
};
use super::lines::Lines;
use super::number::number;
use super::units::{DAY_SECONDS, GIB, MIB};

/// Memory of all roles and services together. `rate` is in jobs a second.
pub fn memory(lines: &mut Lines, asked: &PlanArguments, rate: f64, workers: f64) -> f64 {
    let payload = asked.payload_bytes as f64;
    let workers = lines.add(
        "memory of workers",
        format!(
            "{workers} × ({} MiB + {WORKER_PLACES} held × ({} + {payload}) bytes)",
            WORKER_MIB.value, HELD_JOB_BYTES.value
        ),
        workers * (WORKER_MIB.value * MIB + WORKER_PLACES.value * (HELD_JOB_BYTES.value + payload)) / GIB,
        "GiB",
    );
    let roles = lines.add(
        "memory of schedulers and producers",
        format!("{ROLES_MIN} × ({} + {}) MiB", SCHEDULER_MIB.value, PRODUCER_MIB.value),
        ROLES_MIN.value * (SCHEDULER_MIB.value + PRODUCER_MIB.value) * MIB / GIB,
        "GiB",
    );
    let broker = mib(lines, "memory of RabbitMQ", BROKER_MIB.value);
    let sink = mib(lines, "memory of Elasticsearch", SINK_MIB.value);
    let ledger = ledger_memory(lines, asked, rate);
    lines.sum("memory", [workers, roles, broker, sink, ledger], "GiB")
}

fn mib(lines: &mut Lines, what: &'static str, mib: f64) -> f64 {
    lines.add(what, format!("{mib} MiB"), mib * MIB / GIB, "GiB")
}

fn ledger_memory(lines: &mut Lines, asked: &PlanArguments, rate: f64) -> f64 {
    let days = asked.retention_days;
    let how = format!(
        "({} MiB + {} jobs/s × 86,400 s × {days} days × {LEDGER_BITS} bits / 8) × {LEDGER_COPIES} while its file is written anew",
        LEDGER_MIB.value,
        number(rate)
    );
    lines.add("memory of Redis", how, ledger_gib(rate, days) * LEDGER_COPIES.value, "GiB")
}

/// Disk of all services together. `rate` is in jobs a second.
pub fn disk(lines: &mut Lines, asked: &PlanArguments, rate: f64) -> f64 {
    let (payload, days) = (asked.payload_bytes as f64, asked.retention_days);
    let bytes = DOCUMENT_BYTES.value + payload;
    let sink = lines.add(
        "disk of Elasticsearch",
        format!(
            "{} jobs/s × 86,400 s × {days} days × ({} + {payload}) bytes / {DISK_SHARE}",
            number(rate),
            DOCUMENT_BYTES.value
        ),
        rate * DAY_SECONDS * days * bytes / DISK_SHARE.value / GIB,
        "GiB",
    );
    let broker = lines.add(
        "disk of RabbitMQ, with a full queue",
        format!("{HIGH_WATER} jobs × ({} + {payload}) bytes", BROKER_BYTES.value),
        HIGH_WATER.value * (BROKER_BYTES.value + payload) / GIB,
        "GiB",
    );
    let data = ledger_gib(rate, days);
    let ledger = lines.add(
        "disk of Redis",
        format!("{LEDGER_DISK} × {} GiB of data, at least {LEDGER_DISK_GIB}", number(data)),
        (LEDGER_DISK.value * data).max(LEDGER_DISK_GIB.value),
        "GiB",
    );
    lines.sum("disk", [sink, broker, ledger], "GiB")
}

/// One set of data of Redis.
fn ledger_gib(rate: f64, days: f64) -> f64 {
    (LEDGER_MIB.value * MIB + rate * DAY_SECONDS * days * LEDGER_BITS.value / 8.0) / GIB
}

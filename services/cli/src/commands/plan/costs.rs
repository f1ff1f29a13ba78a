//! The measured costs that `paceline plan` reckons with: one table, each with where it was measured and when. The processors have their
//! own table, [`curves`](super::curves).
//!
//! They are of one kind of machine: two virtual AMD EPYC cores that carried everything at once, and other work besides. For another kind,
//! measure with `paceline bench` and scale.

use serde::Serialize;

/// One measured number.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Cost {
    pub name: &'static str,
    pub value: f64,
    pub unit: &'static str,
    /// The page, and the place in it.
    pub source: &'static str,
    /// The day of the measurement.
    pub date: &'static str,
}

/// A margin or a rule that a plan keeps; nobody measured it.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Margin {
    pub name: &'static str,
    pub value: f64,
    pub unit: &'static str,
}

/// The page with the measurements, and the place in it.
pub const SIZING: &str = "docs/operations/sizing.md, What was measured";
/// The day of the measurements.
pub const MEASURED: &str = "2026-11-26";

const fn cost(name: &'static str, value: f64, unit: &'static str, source: &'static str) -> Cost {
    Cost { name, value, unit, source, date: MEASURED }
}

const fn margin(name: &'static str, value: f64, unit: &'static str) -> Margin {
    Margin { name, value, unit }
}

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

impl std::fmt::Display for Margin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.value.fmt(f)
    }
}

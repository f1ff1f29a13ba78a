//! The flags that every mode has, for the workers, the size of the jobs and the proof of the run; and the setup made from them.

use clap::Args;
use paceline_core::ports::broker::PREFETCH_DEFAULT;
use paceline_worker::{BATCH_MAX_DEFAULT, consumers_default};
use serde::Serialize;
use serde_json::{Map, Value};

/// The same number of consumers as in `paceline dev`: in one process more consumers would only share the same lock.
const CONSUMERS_EMBEDDED: u32 = 4;
const PREFETCH_EMBEDDED: u16 = 100;

#[derive(Debug, Clone, Args)]
pub struct LoadArguments {
    /// Worker processes; embedded: workers in this process
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=64))]
    workers: u32,
    /// Unacknowledged jobs a consumer may hold [default: 10; embedded: 100]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    prefetch: Option<u16>,
    /// Consumers a worker [default: what `paceline worker` takes at the prefetch; embedded: 4]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    consumers: Option<u32>,
    /// The most documents in one request to the sink
    #[arg(long, value_name = "N", default_value_t = BATCH_MAX_DEFAULT as u32, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    batch: u32,
    /// Size of a payload that every job carries
    #[arg(long, value_name = "BYTES", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=200_000))]
    payload_bytes: u32,
    /// Do not compare ledger and sink afterwards
    #[arg(long)]
    no_verify: bool,
    /// Leave queues, documents and counts where they are, and name them
    #[arg(long)]
    pub keep: bool,
}

/// The setup of the workers, as the report shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LoadSetup {
    pub workers: u32,
    pub consumers: u32,
    pub prefetch: u16,
    pub batch: u32,
    pub payload_bytes: u32,
    pub verify: bool,
}

impl LoadArguments {
    /// The load of these arguments, with the defaults of embedded adapters or of services.
    pub fn setup(&self, is_embedded: bool) -> LoadSetup {
        let prefetch = self.prefetch.unwrap_or(if is_embedded { PREFETCH_EMBEDDED } else { PREFETCH_DEFAULT });
        let consumers = if is_embedded { CONSUMERS_EMBEDDED } else { consumers_default(prefetch, 1) as u32 };
        LoadSetup {
            workers: self.workers,
            consumers: self.consumers.unwrap_or(consumers),
            prefetch,
            batch: self.batch,
            payload_bytes: self.payload_bytes,
            verify: !self.no_verify,
        }
    }
}

impl LoadSetup {
    pub fn worker_id(number: u32) -> String {
        format!("bench-worker-{number}")
    }

    /// The payload: nothing, or one text of that size.
    pub fn payload(&self) -> Map<String, Value> {
        match self.payload_bytes {
            0 => Map::new(),
            bytes => Map::from_iter([("filler".to_owned(), Value::from("x".repeat(bytes as usize)))]),
        }
    }
}

//! The flags of the commands that start one role.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Args;
use paceline_core::ports::broker::PREFETCH_DEFAULT;
use paceline_node::WorkerSetup;
use paceline_worker::{BATCH_MAX_DEFAULT, GRACE_DEFAULT, consumers_default};

use crate::autoscale::Autoscale;
use crate::flags::{self, AdminFlags, StopFlag};

#[derive(Debug, Args)]
pub struct Listen {
    /// Address of the gRPC server; port 0 picks a free one, which is printed
    #[arg(long, value_name = "HOST:PORT")]
    pub listen: Option<SocketAddr>,
    #[command(flatten)]
    pub process: ProcessFlags,
}

/// The flags of every role.
#[derive(Debug, Args)]
pub struct ProcessFlags {
    #[command(flatten)]
    pub admin: AdminFlags,
    #[command(flatten)]
    pub stop: StopFlag,
    /// Name of this process in leases, documents, counts and logs [default: host, process id and a random part]
    #[arg(long, value_name = "NAME")]
    pub id: Option<String>,
}

#[derive(Debug, Args)]
pub struct SchedulerArguments {
    #[command(flatten)]
    pub listen: Listen,
    /// Where the producers are, separated by commas; a name stands for all of its addresses, as they come and go
    /// (PACELINE_PRODUCERS) [default: http://127.0.0.1:50052]
    #[arg(long, value_name = "URLS")]
    pub producers: Option<String>,
    /// Ready jobs of a queue above which no more are enqueued (PACELINE_HIGH_WATER) [default: 1000000]
    #[arg(long, value_name = "JOBS", value_parser = clap::value_parser!(u64).range(1..))]
    pub high_water: Option<u64>,
}

#[derive(Debug, Args)]
pub struct ProducerArguments {
    #[command(flatten)]
    pub listen: Listen,
}

#[derive(Debug, Args)]
pub struct WorkerArguments {
    /// Consume only these queues [default: all that are configured]
    #[arg(long = "queue", value_name = "QUEUE")]
    pub queues: Vec<String>,
    /// Consumers a queue, each on a channel of its own [default: as many as hold 1,280 jobs
    /// together, 4 to 128, and fewer with many queues]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub consumers: Option<u32>,
    /// Unacknowledged jobs a consumer may hold
    #[arg(long, value_name = "N", default_value_t = PREFETCH_DEFAULT, value_parser = clap::value_parser!(u16).range(1..))]
    pub prefetch: u16,
    /// The most documents in one request to the sink
    #[arg(long, value_name = "N", default_value_t = BATCH_MAX_DEFAULT as u32, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub batch: u32,
    /// Threads; more than one pays only for handlers that compute, otherwise start more workers
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub threads: u16,
    /// Seconds that a stop may take to finish what is held
    #[arg(long, value_name = "SECONDS", default_value_t = GRACE_DEFAULT.as_secs_f64(), value_parser = seconds)]
    pub grace: f64,
    #[command(flatten)]
    pub process: ProcessFlags,
    #[command(flatten)]
    pub autoscale: Autoscale,
}

impl WorkerArguments {
    pub fn threads(&self) -> usize {
        self.threads.into()
    }

    /// The number of jobs that a worker of `queues` queues takes, and of documents that it sends, at once.
    pub fn setup(&self, queues: usize) -> WorkerSetup {
        let default = || consumers_default(self.prefetch, queues);
        WorkerSetup {
            consumers: self.consumers.map_or_else(default, |consumers| consumers as usize),
            prefetch: self.prefetch,
            batch_max: self.batch as usize,
            grace: Duration::from_secs_f64(self.grace),
        }
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    flags::seconds(text, 0.0..=3600.0)
}

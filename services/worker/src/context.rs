//! A worker's configuration and ports, and the two together as every part of the worker shares them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use paceline_core::Result;
use paceline_core::clock::SharedClock;
use paceline_core::error::{Violations, codes};
use paceline_core::policy::Policy;
use paceline_core::ports::{Broker, Counts, DocumentWriter, Workers};
use paceline_core::seam::Faults;
use paceline_runtime::instruments::Instruments;

use crate::handlers::Handlers;

/// Settings of one worker.
#[derive(Clone)]
pub struct Config {
    /// The worker's id, as it stands in documents and counts.
    pub id: String,
    /// The version of the worker's software, for people.
    pub version: &'static str,
    /// The consumer group that the worker takes jobs for.
    pub group: String,
    /// The queues to consume, each with its policy.
    pub queues: BTreeMap<String, Policy>,
    /// Consumers a queue.
    pub consumers: usize,
    /// Unacknowledged jobs that a consumer may hold.
    pub prefetch: u16,
    /// The most documents in one request to the sink.
    pub batch_max: usize,
    /// The longest time that a stop may take to finish the jobs that are held.
    pub grace: Duration,
    pub handlers: Handlers,
    /// Strikes at the seams between sink, ledger and ack; in production there is none.
    pub faults: Arc<dyn Faults>,
    pub instruments: Instruments,
}

/// The ports that a worker needs.
#[derive(Clone)]
pub struct Ports {
    pub broker: Arc<dyn Broker>,
    pub sink: Arc<dyn DocumentWriter>,
    pub counts: Arc<dyn Counts>,
    pub workers: Arc<dyn Workers>,
    pub clock: SharedClock,
}

#[derive(Clone)]
pub struct Context {
    pub config: Config,
    pub ports: Ports,
}

impl Config {
    /// Every bad field at once: `InvalidArgument`.
    pub fn check(&self) -> Result<()> {
        let mut violations = Violations::default();
        let limits = [
            ("queues", self.queues.len()),
            ("consumers", self.consumers),
            ("prefetch", self.prefetch.into()),
            ("batch_max", self.batch_max),
        ];
        limits
            .into_iter()
            .filter(|(_, count)| *count == 0)
            .for_each(|(name, _)| violations.add(name, "must be at least 1"));
        violations.check_coded(codes::SETTINGS_INVALID)
    }

    /// Deliveries that all consumers together hold at most.
    pub fn held_max(&self) -> usize {
        usize::from(self.prefetch) * self.consumers * self.queues.len()
    }
}

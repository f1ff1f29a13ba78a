//! A scheduler's configuration and ports, and the two together as every part of the scheduler shares them.

use std::sync::Arc;
use std::time::Duration;

use paceline_core::clock::SharedClock;
use paceline_core::policy::Policy;
use paceline_core::ports::{Ledger, Sink};
use paceline_runtime::auth::RequireToken;
use paceline_runtime::instruments::Instruments;

use crate::producers::Producers;
use crate::validate::Rules;

/// Storing and counting a job that its handler has finished takes less.
const HANDS_MARGIN: Duration = Duration::from_secs(5);

/// Ready jobs of a queue above which no more are reserved, unless told otherwise.
pub const HIGH_WATER_DEFAULT: u64 = 1_000_000;

/// Settings of one scheduler.
#[derive(Clone)]
pub struct Config {
    /// This scheduler, as it stands in leases.
    pub id: String,
    /// The consumer group that new runs are made for, and whose numbers are shown of a run that has it.
    pub group: String,
    /// What a run may name.
    pub rules: Rules,
    pub limits: Limits,
    /// Callers of the API show this token.
    pub token: RequireToken,
    pub instruments: Instruments,
}

/// The ports that a scheduler needs.
#[derive(Clone)]
pub struct Ports {
    pub ledger: Ledger,
    /// For proofs, for healing, and to keep runs where a lost ledger can be rebuilt from.
    pub sink: Sink,
    pub producers: Arc<Producers>,
    pub clock: SharedClock,
}

#[derive(Clone)]
pub struct Context {
    pub config: Config,
    pub ports: Ports,
}

/// Where a scheduler holds back, and how patient it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Ready jobs of a queue above which no more are reserved.
    pub high_water: u64,
    /// How long a job may be in a worker's hands: longer than the longest timeout of a handler. A job that neither queue nor ledger
    /// nor sink has after that is lost, and sent again.
    pub hands_max: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { high_water: HIGH_WATER_DEFAULT, hands_max: Policy::default().timeout() + HANDS_MARGIN }
    }
}

impl Limits {
    /// With the timeouts of these queues' policies.
    pub fn of(high_water: u64, policies: impl Iterator<Item = Policy>) -> Self {
        let timeout = policies.map(|policy| policy.timeout()).max().unwrap_or_default();
        Self { high_water, hands_max: timeout + HANDS_MARGIN }
    }
}

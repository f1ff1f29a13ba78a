//! A scheduler's configuration and ports, the [`Producers`] that it hands ranges to, and all of them together as every part of the
//! scheduler shares them.

use std::sync::Arc;
use std::time::Duration;

use paceline_core::clock::SharedClock;
use paceline_core::policy::Policy;
use paceline_core::ports::{Ledger, Sink};
use paceline_runtime::auth::RequireToken;
use paceline_runtime::instruments::Instruments;

use crate::producers::Producers;

/// Longer than it takes to store and count a job that its handler has finished.
const HANDS_MARGIN: Duration = Duration::from_secs(5);

/// Ready jobs of a queue above which no more are reserved, unless told otherwise.
pub const HIGH_WATER_DEFAULT: u64 = 1_000_000;

/// Ranges of a run that are in flight at once, or wait for a producer that works and has room; the pacer holds back at that many.
pub const RANGES_IN_FLIGHT_MAX: usize = 32;

/// Settings of one scheduler.
#[derive(Clone)]
pub struct Config {
    /// The scheduler's id, as it stands in leases.
    pub id: String,
    /// The consumer group that new runs are made for. Of a run that has this group, the group's numbers are shown.
    pub group: String,
    pub rules: Rules,
    pub limits: OwnerLimits,
    /// Callers of the API show this token.
    pub token: RequireToken,
    pub instruments: Instruments,
}

/// The ports that a scheduler needs.
#[derive(Clone)]
pub struct Ports {
    pub ledger: Ledger,
    /// The sink, for proofs, for healing, and to keep runs where a lost ledger can be rebuilt from.
    pub sink: Sink,
    pub producers: Arc<Producers>,
    pub clock: SharedClock,
}

#[derive(Clone)]
pub struct Context {
    pub config: Config,
    pub ports: Ports,
}

/// The names that a run may use.
#[derive(Debug, Clone)]
pub struct Rules {
    pub queues: Vec<String>,
    pub handlers: Vec<String>,
}

/// The bounds of owners: where they hold back, and how patient they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwnerLimits {
    /// Ready jobs of a queue above which no more are reserved.
    pub high_water: u64,
    /// The longest time that a worker may hold a job: longer than the longest timeout of a handler. A job that neither queue nor ledger nor sink has
    /// after that is lost, and sent again.
    pub hands_max: Duration,
}

impl Default for OwnerLimits {
    fn default() -> Self {
        Self { high_water: HIGH_WATER_DEFAULT, hands_max: Policy::default().timeout() + HANDS_MARGIN }
    }
}

impl OwnerLimits {
    /// Limits that fit the timeouts of these queues' policies.
    pub fn of(high_water: u64, policies: impl Iterator<Item = Policy>) -> Self {
        let timeout = policies.map(|policy| policy.timeout()).max().unwrap_or_default();
        Self { high_water, hands_max: timeout + HANDS_MARGIN }
    }
}

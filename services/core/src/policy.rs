//! The policy of a queue: attempts, timeout and backoff of its jobs.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The policy of a queue. Redeliveries after a crash and give-backs at shutdown are not attempts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// Attempts before a job is dead; at least 1.
    pub attempts_max: u32,
    /// The longest time of one execution.
    pub timeout_ms: u64,
    /// First delay between attempts; it doubles with each.
    pub backoff_ms: u64,
}

impl Default for Policy {
    fn default() -> Self {
        Self { attempts_max: 5, timeout_ms: 30_000, backoff_ms: 1_000 }
    }
}

impl Policy {
    pub fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }

    pub fn backoff(&self) -> Duration {
        Duration::from_millis(self.backoff_ms)
    }
}

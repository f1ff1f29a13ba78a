//! The clocks of one process: virtual time, and a wall clock that a fault may set.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use paceline_core::clock::{Clock, nanos};
use tokio::time::Instant;

/// The wall time at which every simulation begins, milliseconds since the Unix epoch.
pub const WALL_MS: i64 = 1_750_000_000_000;

#[derive(Debug, Clone)]
pub struct SimClock {
    start: Instant,
    offset_ms: Arc<AtomicI64>,
}

impl SimClock {
    pub fn new(start: Instant) -> Self {
        Self { start, offset_ms: Arc::default() }
    }

    /// Sets the wall clock forward or back.
    pub fn step(&self, by_ms: i64) {
        self.offset_ms.fetch_add(by_ms, Ordering::Relaxed);
    }

    pub fn offset_ms(&self) -> i64 {
        self.offset_ms.load(Ordering::Relaxed)
    }
}

impl Clock for SimClock {
    fn wall_ms(&self) -> i64 {
        WALL_MS + i64::try_from(self.start.elapsed().as_millis()).unwrap_or(i64::MAX) + self.offset_ms()
    }

    fn monotonic_ns(&self) -> u64 {
        nanos(self.start.elapsed())
    }
}

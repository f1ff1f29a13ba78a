//! Time, as a value that can be handed in: wall time for what people and documents see, monotonic time for pacing.
//!
//! Whatever is stored, shown or paced takes its time from a [`Clock`], so that a test or the simulation can pass its own. The machine's
//! clocks are read by [`SystemClock`] alone; `clippy.toml` bans them elsewhere. Deadlines and pauses use Tokio's clock, which tests pause.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

/// Two clocks: one that people read and that may step, and one that only goes forward.
pub trait Clock: Send + Sync + 'static {
    /// Milliseconds since the Unix epoch. May step in either direction.
    fn wall_ms(&self) -> i64;
    /// Microseconds since the Unix epoch, where the clock tells them apart.
    fn wall_us(&self) -> i64 {
        self.wall_ms() * 1000
    }
    /// Nanoseconds since an arbitrary start. Never goes back; does not survive a restart.
    fn monotonic_ns(&self) -> u64;
}

pub type SharedClock = Arc<dyn Clock>;

/// The machine's clocks. Monotonic time is tokio's, so that a test with paused time owns it.
#[derive(Debug)]
pub struct SystemClock {
    start: tokio::time::Instant,
}

impl SystemClock {
    pub fn shared() -> SharedClock {
        Arc::new(Self { start: tokio::time::Instant::now() })
    }
}

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods)]
    fn wall_ms(&self) -> i64 {
        let since_epoch = std::time::SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX)
    }

    #[allow(clippy::disallowed_methods)]
    fn wall_us(&self) -> i64 {
        let since_epoch = std::time::SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX)
    }

    fn monotonic_ns(&self) -> u64 {
        nanos(self.start.elapsed())
    }
}

/// A duration in whole nanoseconds, saturating after 584 years.
pub fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

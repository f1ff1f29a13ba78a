//! Publishes that wait for their confirms, by when they began: the oldest tells whether the broker still confirms.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use paceline_core::{Error, Result};
use tokio::time::Instant;

/// How long confirms may take before the producer says that it cannot do its work.
const CONFIRM_PATIENCE: Duration = Duration::from_secs(2);

/// As many entries as calls are open.
#[derive(Default)]
pub struct InFlight(Mutex<State>);

#[derive(Default)]
struct State {
    next: u64,
    begun: BTreeMap<u64, Instant>,
}

/// One publish; ends when it is dropped, whatever became of it.
pub struct OnItsWay<'a> {
    all: &'a InFlight,
    number: u64,
}

impl InFlight {
    pub fn begin(&self) -> OnItsWay<'_> {
        let mut state = self.lock();
        state.next += 1;
        let number = state.next;
        state.begun.insert(number, Instant::now());
        OnItsWay { all: self, number }
    }

    pub fn check(&self) -> Result<()> {
        let oldest = self.lock().begun.first_key_value().map(|(_, begun)| begun.elapsed());
        match oldest.filter(|age| *age >= CONFIRM_PATIENCE) {
            None => Ok(()),
            Some(age) => Err(Error::unavailable(format!(
                "the broker has not confirmed a publish for {} ms; does it block publishers (memory, disk)?",
                age.as_millis()
            ))),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no code panics while it holds the publishes")
    }
}

impl Drop for OnItsWay<'_> {
    fn drop(&mut self) {
        self.all.lock().begun.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_oldest_publish_tells() {
        let all = InFlight::default();
        let old = all.begin();
        tokio::time::advance(CONFIRM_PATIENCE / 2).await;
        let young = all.begin();
        all.check().unwrap();
        tokio::time::advance(CONFIRM_PATIENCE / 2).await;
        assert!(all.check().unwrap_err().message.contains("2000 ms"));
        drop(old);
        all.check().unwrap();
        drop(young);
        assert!(all.lock().begun.is_empty());
    }
}

//! Spare consumers of a queue: opened while all others hold what they may, closed when there is less to do.
//!
//! Many consumers hold many jobs, and so make large requests to the sink of a long queue. On a short queue they cost the broker a
//! write for each job, since it gives the next job to the next consumer. So a worker has as many as suit its queue just now.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::watch;

use crate::Config;

const LOOK_INTERVAL: Duration = Duration::from_millis(50);
/// The others are full in so many looks in a row before the spare ones open: a fifth of a second. Each bulk that is stored empties a
/// third of them for a moment, so a long queue hardly shows a whole second without one.
const FULL_LOOKS: u32 = 4;
/// So little is held, by all of them, that the others would not be full, in so many looks in a row before the spare ones close: two
/// seconds.
const CALM_LOOKS: u32 = 40;

/// How many consumers a worker has for each queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Consumers {
    /// From the start to the end.
    pub always: usize,
    pub spare: usize,
}

impl From<usize> for Consumers {
    fn from(always: usize) -> Self {
        Self { always, spare: 0 }
    }
}

impl Consumers {
    pub fn most(self) -> usize {
        self.always + self.spare
    }
}

/// What the consumers of one queue have to do.
pub struct Demand {
    /// Deliveries taken and not settled yet.
    held: AtomicUsize,
    wants_spare: watch::Sender<bool>,
}

impl Demand {
    pub fn new() -> Self {
        Self { held: AtomicUsize::new(0), wants_spare: watch::Sender::new(false) }
    }

    pub fn taken(&self) {
        self.held.fetch_add(1, Ordering::Relaxed);
    }

    pub fn settled(&self) {
        self.held.fetch_sub(1, Ordering::Relaxed);
    }

    /// Waits until spare consumers are wanted, or no more.
    pub async fn until(&self, wanted: bool) {
        // The sender lives in `self`, so the wait cannot fail.
        _ = self.wants_spare.subscribe().wait_for(|wants| *wants == wanted).await;
    }

    /// For ever: looks how full the consumers are.
    pub async fn watch(&self, config: &Config) {
        let can_hold = config.consumers.always * usize::from(config.prefetch);
        let mut looks = 0;
        loop {
            tokio::time::sleep(LOOK_INTERVAL).await;
            let (held, wants_spare) = (self.held.load(Ordering::Relaxed), *self.wants_spare.borrow());
            // A tenth of the room is on its way between broker and worker.
            let says_otherwise = (held * 10 >= can_hold * 9) != wants_spare;
            let enough = if wants_spare { CALM_LOOKS } else { FULL_LOOKS };
            looks = if says_otherwise { looks + 1 } else { 0 };
            if looks >= enough {
                looks = 0;
                self.wants_spare.send_replace(!wants_spare);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::stubs::{self, SilentBroker};

    /// Whether spare ones are wanted, 10 s after so many are held.
    async fn wants(demand: &Demand, config: &Config, held: usize) -> bool {
        while demand.held.load(Ordering::Relaxed) < held {
            demand.taken();
        }
        while demand.held.load(Ordering::Relaxed) > held {
            demand.settled();
        }
        _ = tokio::time::timeout(Duration::from_secs(10), demand.watch(config)).await;
        *demand.wants_spare.borrow()
    }

    #[tokio::test(start_paused = true)]
    async fn spare_consumers_are_wanted_while_the_others_are_full() {
        let (config, ..) = stubs::worker("q", Arc::new(SilentBroker::default()));
        let config = Config { consumers: Consumers { always: 4, spare: 8 }, prefetch: 10, ..(*config).clone() };
        let demand = Demand::new();
        for (held, expected) in [(0, false), (35, false), (36, true), (40, true), (120, true), (36, true), (35, false)]
        {
            assert_eq!(wants(&demand, &config, held).await, expected, "{held} held");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_short_peak_opens_nothing_and_a_short_lull_closes_nothing() {
        let (config, ..) = stubs::worker("q", Arc::new(SilentBroker::default()));
        let config = Config { consumers: Consumers { always: 1, spare: 1 }, prefetch: 1, ..(*config).clone() };
        let demand = Demand::new();
        let moment = async |looks| _ = tokio::time::timeout(LOOK_INTERVAL * looks, demand.watch(&config)).await;
        demand.taken();
        moment(FULL_LOOKS - 1).await;
        assert!(!*demand.wants_spare.borrow());
        moment(FULL_LOOKS + 2).await;
        tokio::time::timeout(LOOK_INTERVAL, demand.until(true)).await.expect("wanted");
        demand.settled();
        moment(CALM_LOOKS - 1).await;
        assert!(*demand.wants_spare.borrow());
        moment(CALM_LOOKS + 2).await;
        tokio::time::timeout(LOOK_INTERVAL, demand.until(false)).await.expect("not wanted any more");
    }
}

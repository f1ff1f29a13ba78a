//! The depths of queues, for the metrics: asked for from time to time, and forgotten as soon as the broker does not say, because unknown is
//! not empty (L8).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use paceline_core::ErrorKind;
use paceline_core::ports::Broker;
use paceline_core::ports::broker::Depth;
use paceline_runtime::telemetry::metrics::{MetricReadings, Metrics, names};

const LOOK_INTERVAL: Duration = Duration::from_secs(5);
/// Each look asks the broker about a dozen things, so many queues are looked at less often.
const LOOK_INTERVAL_OF_A_QUEUE: Duration = Duration::from_millis(250);
/// The most queues, of one group each, that are looked at.
const PLACES_MAX: usize = 200;

/// Depths by queue and group.
type Depths = BTreeMap<(String, String), Depth>;

pub struct QueueDepths {
    /// Somebody reads the metrics.
    is_on: bool,
    /// Queues that are looked at whether jobs were published to them or not.
    configured: BTreeSet<(String, String)>,
    depths: Arc<Mutex<Depths>>,
}

impl QueueDepths {
    /// The depths of `queues` for `group`, and of the queues that jobs are published to.
    pub fn new(metrics: &Metrics, queues: &[String], group: &str) -> Self {
        let depths: Arc<Mutex<Depths>> = Arc::default();
        let shown = Arc::downgrade(&depths);
        metrics.read(move |readings| {
            if let Some(depths) = shown.upgrade() {
                lock(&depths).iter().for_each(|((queue, group), depth)| show(readings, (queue, group), depth));
            }
        });
        let configured = queues.iter().map(|queue| (queue.clone(), group.to_owned())).collect();
        Self { is_on: metrics.is_on(), configured, depths }
    }

    /// Asks the broker for the depths; not at all if the metrics are off. Never returns.
    pub async fn watch(&self, broker: &dyn Broker, declared: impl Fn() -> Vec<(String, String)>) {
        if !self.is_on {
            return std::future::pending().await;
        }
        loop {
            let places = self.configured.iter().cloned().chain(declared());
            let places: BTreeSet<_> = places.take(PLACES_MAX).collect();
            lock(&self.depths).retain(|place, _| places.contains(place));
            let interval = LOOK_INTERVAL.max(LOOK_INTERVAL_OF_A_QUEUE * places.len() as u32);
            self.look(broker, places).await;
            tokio::time::sleep(interval).await;
        }
    }

    /// A broker that cannot say the depth of one queue may be long in saying it of the others, or never do: the depths of the others are
    /// forgotten until the broker has said them.
    async fn look(&self, broker: &dyn Broker, mut places: BTreeSet<(String, String)>) {
        while let Some(place) = places.pop_first() {
            match broker.depth(&place.0, &place.1).await {
                Ok(depth) => _ = lock(&self.depths).insert(place, depth),
                Err(error) if error.kind == ErrorKind::NotFound => _ = lock(&self.depths).remove(&place),
                Err(_) => lock(&self.depths).retain(|known, _| *known != place && !places.contains(known)),
            }
        }
    }
}

fn show(readings: &mut MetricReadings, (queue, group): (&str, &str), depth: &Depth) {
    let Depth { ready, unacked, delayed, dead } = *depth;
    let states = [("ready", Some(ready)), ("unacked", unacked), ("delayed", Some(delayed)), ("dead", Some(dead))];
    for (state, jobs) in states {
        if let Some(jobs) = jobs {
            readings.add(&names::QUEUE_JOBS, &[queue, group, state], jobs);
        }
    }
}

fn lock(depths: &Mutex<Depths>) -> MutexGuard<'_, Depths> {
    depths.lock().expect("no code panics while it holds the depths")
}

//! The counts of a producer for its metrics, and the lengths of queues: looked at by and by, and forgotten as soon as the broker does not
//! say, because unknown is not empty (L8).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use paceline_core::ports::Broker;
use paceline_core::ports::broker::{Confirm, Depth};
use paceline_core::{Error, ErrorKind, Result};
use paceline_runtime::telemetry::metrics::names;
use paceline_runtime::telemetry::metrics::{Counter, Metrics, Readings};

use crate::Producer;

const LOOK_INTERVAL: Duration = Duration::from_secs(5);
/// Each look asks the broker about a dozen things, so many queues are looked at less often.
const LOOK_INTERVAL_OF_A_QUEUE: Duration = Duration::from_millis(250);
/// The most queues, of one group each, that are looked at.
const PLACES_MAX: usize = 200;

/// By queue and group.
type Depths = BTreeMap<(String, String), Depth>;

pub struct Measured {
    pub metrics: Metrics,
    confirmed: Counter,
    unroutable: Counter,
    refused: Counter,
    failed: Counter,
    /// Queues that are looked at whether jobs were published to them or not.
    configured: BTreeSet<(String, String)>,
    depths: Arc<Mutex<Depths>>,
}

impl Measured {
    pub fn new(metrics: &Metrics, queues: impl IntoIterator<Item = String>, group: &str) -> Self {
        let jobs = |result| metrics.counter(&names::PUBLISH_JOBS, &[result]);
        let depths: Arc<Mutex<Depths>> = Arc::default();
        let shown = Arc::downgrade(&depths);
        metrics.read(move |readings| {
            if let Some(depths) = shown.upgrade() {
                lock(&depths).iter().for_each(|((queue, group), depth)| show(readings, (queue, group), depth));
            }
        });
        Self {
            confirmed: jobs("confirmed"),
            unroutable: jobs("unroutable"),
            refused: jobs("refused"),
            failed: jobs("failed"),
            configured: queues.into_iter().map(|queue| (queue, group.to_owned())).collect(),
            depths,
            metrics: metrics.clone(),
        }
    }

    /// The broker's answer to a batch of so many jobs.
    pub fn published(&self, jobs: usize, answer: &Result<Vec<Confirm>, Error>) {
        let Ok(confirms) = answer else {
            self.failed.inc_by(jobs as u64);
            return;
        };
        let count = |is_it: fn(&Confirm) -> bool| confirms.iter().filter(|confirm| is_it(confirm)).count() as u64;
        let confirmed = count(|confirm| *confirm == Confirm::Confirmed);
        self.confirmed.inc_by(confirmed);
        if confirmed < confirms.len() as u64 {
            self.unroutable.inc_by(count(|confirm| *confirm == Confirm::Unroutable));
            self.refused.inc_by(count(|confirm| matches!(confirm, Confirm::Refused(_))));
        }
    }

    /// For ever: asks the broker how long the queues are; not at all while nobody looks.
    pub async fn watch_queues(&self, producer: &Producer) {
        if !self.metrics.is_on() {
            return std::future::pending().await;
        }
        loop {
            let places = self.configured.iter().cloned().chain(producer.declared());
            let places: BTreeSet<_> = places.take(PLACES_MAX).collect();
            lock(&self.depths).retain(|place, _| places.contains(place));
            let interval = LOOK_INTERVAL.max(LOOK_INTERVAL_OF_A_QUEUE * places.len() as u32);
            self.look(producer.broker(), places).await;
            tokio::time::sleep(interval).await;
        }
    }

    /// A broker that cannot say how long one queue is may be long in saying it of the others, or never do: what it said of them
    /// before is forgotten until it has.
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

fn show(readings: &mut Readings, (queue, group): (&str, &str), depth: &Depth) {
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

//! Publishing a range: encode each job, publish with confirms, and make the queue if nobody has yet.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use paceline_core::clock::SharedClock;
use paceline_core::error::{Error, ErrorKind, Result};
use paceline_core::ids::RunId;
use paceline_core::job::{RANGE_JOBS_MAX, Range};
use paceline_core::ports::broker::{Confirm, Depth, Message};
use paceline_core::ports::{Broker, Ledger, RangePublisher};

use crate::in_flight::InFlight;
use crate::specs::{Known, Specs};

/// A cheap handle on a producer.
#[derive(Clone)]
pub struct Producer(Arc<Inner>);

struct Inner {
    id: String,
    broker: Arc<dyn Broker>,
    specs: Specs,
    clock: SharedClock,
    /// By queue and group.
    declared: Mutex<HashSet<(String, String)>>,
    in_flight: InFlight,
}

impl Producer {
    pub fn new(id: &str, broker: Arc<dyn Broker>, ledger: Arc<dyn Ledger>, clock: SharedClock) -> Self {
        let specs = Specs::new(ledger);
        Self(Arc::new(Inner {
            id: id.into(),
            broker,
            specs,
            clock,
            declared: Mutex::default(),
            in_flight: InFlight::default(),
        }))
    }

    pub fn id(&self) -> &str {
        &self.0.id
    }

    /// Whether the broker can be reached.
    pub async fn check_broker(&self) -> Result<String> {
        self.0.broker.check().await
    }

    /// Whether the ledger, which knows what a run's jobs are, can be reached.
    pub async fn check_ledger(&self) -> Result<String> {
        self.0.specs.check().await
    }

    /// Whether the broker takes publishes: it does not say otherwise, and what is on its way is confirmed in time.
    pub fn check_confirms(&self) -> Result<()> {
        match self.0.broker.blocked() {
            Some(reason) => Err(Error::unavailable(format!("the broker blocks publishers: {reason}"))),
            None => self.0.in_flight.check(),
        }
    }

    /// How often a connection to the broker was made anew.
    pub fn rebuilt(&self) -> u64 {
        self.0.broker.rebuilt()
    }
}

#[async_trait]
impl RangePublisher for Producer {
    async fn publish(&self, run: &RunId, range: &Range) -> Result<String> {
        if range.count == 0 || range.count > RANGE_JOBS_MAX || range.first.checked_add(range.count).is_none() {
            return Err(Error::invalid_field("count", format!("must be 1 to {RANGE_JOBS_MAX}, not {}", range.count)));
        }
        let known = self.0.specs.get(run).await?;
        let now_ms = self.0.clock.wall_ms();
        let messages = range.seqs().map(|seq| known.encoder.message(range, seq, now_ms)).collect();
        self.0.declare_once(&known).await?;
        let unroutable = self.0.publish(&known.queue, messages).await?;
        if !unroutable.is_empty() {
            // Somebody deleted the queue, or the broker lost it: make it again, once, before saying so.
            self.0.forget(&known.queue);
            self.0.declare_once(&known).await?;
            let jobs =
                unroutable.into_iter().map(|index| known.encoder.message(range, range.first + index as u64, now_ms));
            let still = self.0.publish(&known.queue, jobs.collect()).await?;
            if !still.is_empty() {
                return Err(Error::unavailable(format!(
                    "{} jobs of run {run} fit no queue: {} is not bound",
                    still.len(),
                    known.queue
                )));
            }
        }
        Ok(self.0.id.clone())
    }

    async fn depth(&self, run: &RunId) -> Result<Depth> {
        let known = self.0.specs.get(run).await?;
        let empty = Depth { unacked: Some(0), ..Depth::default() };
        let mut deepest = empty;
        for group in known.groups.iter() {
            let depth = match self.0.broker.depth(&known.queue, group).await {
                Err(error) if error.kind == ErrorKind::NotFound => {
                    // As long as another group takes the jobs nothing is unroutable, so only this look tells.
                    self.0.forget(&known.queue);
                    empty
                }
                depth => depth?,
            };
            deepest = deepest.max(depth);
        }
        Ok(deepest)
    }
}

impl Inner {
    /// Publishes and answers the indices of what no queue took. A refusal is an error: the range is sent again later.
    async fn publish(&self, queue: &str, messages: Vec<Message>) -> Result<Vec<usize>> {
        let sent = messages.len();
        let on_its_way = self.in_flight.begin();
        let confirms = self.broker.publish(queue, messages).await?;
        drop(on_its_way);
        if confirms.len() != sent {
            return Err(Error::internal(format!("the broker answered {} of {sent} publishes", confirms.len())));
        }
        let mut unroutable = Vec::new();
        for (index, confirm) in confirms.into_iter().enumerate() {
            match confirm {
                Confirm::Confirmed => (),
                Confirm::Unroutable => unroutable.push(index),
                Confirm::Refused(reason) => {
                    return Err(Error::unavailable(format!("queue {queue} refused a job: {reason}")));
                }
            }
        }
        Ok(unroutable)
    }

    /// Makes the queue of every group of the run: a group that joined late would miss the jobs before it.
    async fn declare_once(&self, known: &Known) -> Result<()> {
        for group in known.groups.iter() {
            let place = (known.queue.clone(), group.to_owned());
            if self.lock().contains(&place) {
                continue;
            }
            self.broker.declare(&known.queue, group).await?;
            self.lock().insert(place);
        }
        Ok(())
    }

    fn forget(&self, queue: &str) {
        self.lock().retain(|(declared, _)| declared != queue);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashSet<(String, String)>> {
        self.declared.lock().expect("no code panics while it holds the declared queues")
    }
}

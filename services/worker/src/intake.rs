//! Consumers: take deliveries, start their handlers, hand what has ended to the flusher.
//!
//! A consumer that ends (connection lost, queue deleted) is made anew; its deliveries settle nothing any more and come
//! back. At a stop a consumer takes no more but stays open until what it handed out is settled.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use paceline_core::Result;
use paceline_core::policy::Policy;
use paceline_core::ports::broker::{Consumer, Delivery};
use paceline_runtime::backoff::Backoff;
use paceline_runtime::lifecycle::Shutdown;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::Config;
use crate::execute::{Ended, Executed, execute};
use crate::stats::Stats;

const RECONNECT_DELAY_MIN: Duration = Duration::from_millis(100);
const RECONNECT_DELAY_MAX: Duration = Duration::from_secs(2);

/// A job on its way to the flusher.
pub struct Held {
    pub ended: Ended,
    pub ties: Ties,
}

/// What ties a delivery to its consumer.
pub struct Ties {
    /// Keeps the consumer open until the delivery is settled.
    _token: TaskTrackerToken,
    unsettled: Shutdown,
}

impl Ties {
    /// The delivery could not be settled, so its consumer holds it until it ends: it has to, and a new one is made.
    pub fn end_consumer(&self) {
        self.unsettled.trigger();
    }
}

/// Runs every consumer of every queue until `shutdown` and everything handed out is settled, or until `crashed`.
pub async fn consume(
    config: Arc<Config>,
    stats: Arc<Stats>,
    ended: mpsc::Sender<Held>,
    shutdown: Shutdown,
    crashed: Shutdown,
) {
    let mut consumers = JoinSet::new();
    for (queue, policy) in &config.queues {
        for _ in 0..config.consumers {
            let intake = Intake {
                config: config.clone(),
                stats: stats.clone(),
                worker_id: config.id.as_str().into(),
                queue: queue.clone(),
                policy: *policy,
                ended: ended.clone(),
                shutdown: shutdown.clone(),
            };
            consumers.spawn(intake.run());
        }
    }
    drop(ended);
    let all = async { while consumers.join_next().await.is_some() {} };
    // A crash drops every consumer where it stands.
    crashed.or(all).await;
}

struct Intake {
    config: Arc<Config>,
    stats: Arc<Stats>,
    worker_id: Arc<str>,
    queue: String,
    policy: Policy,
    ended: mpsc::Sender<Held>,
    shutdown: Shutdown,
}

impl Intake {
    async fn run(self) {
        let mut backoff = Backoff::new(RECONNECT_DELAY_MIN, RECONNECT_DELAY_MAX);
        let mut is_known_away = false;
        while !self.shutdown.is_triggered() {
            match self.shutdown.clone().or(self.open()).await {
                None => return,
                Some(Ok(consumer)) => {
                    is_known_away = false;
                    backoff.reset();
                    self.work(consumer).await;
                }
                Some(Err(error)) if !std::mem::replace(&mut is_known_away, true) => {
                    tracing::warn!(queue = self.queue, %error, "waiting for the broker");
                }
                Some(Err(_)) => (),
            }
            self.shutdown.or(backoff.wait()).await;
        }
    }

    async fn open(&self) -> Result<Consumer> {
        let config = &self.config;
        config.broker.declare(&self.queue, &config.group).await?;
        config.broker.consume(&self.queue, &config.group, config.prefetch).await
    }

    /// Until the consumer ends; or until a stop comes, or a delivery cannot be settled, and all others that it handed out are.
    async fn work(&self, mut consumer: Consumer) {
        let (held, unsettled) = (TaskTracker::new(), Shutdown::new());
        let mut running = JoinSet::new();
        loop {
            tokio::select! {
                biased;
                () = self.shutdown.triggered() => break,
                () = unsettled.triggered() => break,
                Some(_) = running.join_next() => (),
                delivery = consumer.deliveries.next() => match delivery {
                    Some(Ok(delivery)) => self.start(delivery, ties(&held, &unsettled), &mut running).await,
                    Some(Err(error)) => {
                        tracing::warn!(queue = self.queue, %error, "consumer ended; making it anew");
                        return;
                    }
                    None => return,
                }
            }
        }
        while running.join_next().await.is_some() {}
        held.close();
        held.wait().await;
        consumer.close().await;
    }

    /// Most handlers end without waiting for anything: those take no task of their own.
    async fn start(&self, delivery: Delivery, ties: Ties, running: &mut JoinSet<()>) {
        let execution = execute(self.config.clone(), self.worker_id.clone(), self.policy, delivery);
        let mut execution = Box::pin(execution);
        match futures::poll!(&mut execution) {
            std::task::Poll::Ready(Executed::Ended(ended)) => hand_over(&self.ended, Held { ended, ties }).await,
            std::task::Poll::Ready(other) => {
                running.spawn(settle_now(other, self.stats.clone(), self.ended.clone(), ties));
            }
            std::task::Poll::Pending => {
                let (stats, ended) = (self.stats.clone(), self.ended.clone());
                running.spawn(async move { settle_now(execution.await, stats, ended, ties).await });
            }
        }
    }
}

fn ties(held: &TaskTracker, unsettled: &Shutdown) -> Ties {
    Ties { _token: held.token(), unsettled: unsettled.clone() }
}

async fn settle_now(executed: Executed, stats: Arc<Stats>, ended: mpsc::Sender<Held>, ties: Ties) {
    let settled = match executed {
        Executed::Ended(job) => return hand_over(&ended, Held { ended: job, ties }).await,
        Executed::Retry { delivery, after, reason } => {
            tracing::debug!(job = delivery.message.id, attempt = delivery.message.attempt, reason, "retry");
            Stats::add(&stats.retried, 1);
            delivery.retry(after).await
        }
        Executed::Unreadable { delivery, reason } => {
            tracing::warn!(message = delivery.message.id, reason, "not a job; to the dead queue");
            delivery.dead(reason).await
        }
    };
    if let Err(error) = settled {
        tracing::warn!(%error, "a delivery is not settled; its consumer is made anew, so that it comes back");
        ties.end_consumer();
    }
}

async fn hand_over(ended: &mpsc::Sender<Held>, held: Held) {
    // The flusher outlives its senders unless the worker dies; then the delivery comes back by itself.
    _ = ended.send(held).await;
}

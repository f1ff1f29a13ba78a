//! Consumers: take deliveries, start their handlers, hand what has ended to the flusher.
//!
//! A consumer that ends (connection lost, queue deleted) is made anew; its deliveries settle nothing any more and come
//! back. At a stop a consumer takes no more but stays open until what it handed out is settled.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::StreamExt as _;
use paceline_core::Result;
use paceline_core::backoff::Backoff;
use paceline_core::policy::Policy;
use paceline_core::ports::broker::{Consumer, Delivery};
use paceline_runtime::lifecycle::Shutdown;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::context::Context;
use crate::endings::Endings;
use crate::execute::{Ended, Executed, Failed, execute};
use crate::health::Health;
use crate::measured::{DeathClass, Queue};
use crate::publishes::What;
use crate::stats::Stats;

const RECONNECT_DELAY_MIN: Duration = Duration::from_millis(100);
const RECONNECT_DELAY_MAX: Duration = Duration::from_secs(1);

/// A job on its way to the flusher.
pub struct Held {
    pub ended: Ended,
    pub hold: Hold,
}

/// Keeps the consumer of a delivery open, and the delivery counted as held, until it is settled or lost.
pub struct Hold {
    _open: TaskTrackerToken,
    consumer: Arc<Holding>,
    since: Instant,
}

/// What the deliveries of one consumer share.
pub struct Holding {
    stats: Arc<Stats>,
    queue: Arc<Queue>,
    unsettled: Shutdown,
}

impl Holding {
    pub fn new(stats: Arc<Stats>, queue: &str) -> Arc<Self> {
        let queue = stats.measured.queue(queue);
        Arc::new(Self { stats, queue, unsettled: Shutdown::new() })
    }
}

impl Hold {
    pub fn new(open: TaskTrackerToken, consumer: &Arc<Holding>) -> Self {
        Stats::add(&consumer.stats.held, 1);
        consumer.queue.hands.took();
        Self { _open: open, consumer: consumer.clone(), since: Instant::now() }
    }

    /// Where its queue is measured.
    pub fn queue(&self) -> &Queue {
        &self.consumer.queue
    }

    /// The delivery could not be settled and stays with its consumer while that is open. So the consumer is ended, and a new one is made.
    pub fn end_consumer(&self) {
        self.consumer.unsettled.trigger();
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.consumer.stats.held.fetch_sub(1, Ordering::Relaxed);
        self.consumer.queue.hands.gave(self.since.elapsed());
    }
}

/// What consumers work with.
#[derive(Clone)]
pub struct Intake {
    pub context: Arc<Context>,
    pub stats: Arc<Stats>,
    pub health: Arc<Health>,
    pub endings: Arc<Endings>,
    /// To the flusher.
    pub ended: mpsc::Sender<Held>,
}

/// Runs every consumer of every queue until `shutdown` and everything handed out is settled, or until `crashed`.
pub async fn consume(intake: Intake, shutdown: Shutdown, crashed: Shutdown) {
    let mut consumers = JoinSet::new();
    let context = intake.context.clone();
    for (queue, policy) in &context.config.queues {
        for _ in 0..context.config.consumers {
            let reader = Reader {
                intake: intake.clone(),
                worker_id: context.config.id.as_str().into(),
                queue: queue.clone(),
                policy: *policy,
                shutdown: shutdown.clone(),
            };
            consumers.spawn(reader.run());
        }
    }
    // The flusher ends with the last of them.
    drop(intake);
    let all = async { while consumers.join_next().await.is_some() {} };
    // A crash drops every consumer where it stands.
    crashed.or(all).await;
}

/// Why a consumer ended.
struct Why {
    reason: String,
    /// It is told in the log.
    is_error: bool,
}

impl Why {
    fn quiet(reason: &str) -> Self {
        Self { reason: reason.to_owned(), is_error: false }
    }
}

/// One consumer after the other, of one queue.
struct Reader {
    intake: Intake,
    worker_id: Arc<str>,
    queue: String,
    policy: Policy,
    shutdown: Shutdown,
}

impl Reader {
    async fn run(self) {
        let mut backoff = Backoff::new(RECONNECT_DELAY_MIN, RECONNECT_DELAY_MAX);
        let health = self.intake.health.clone();
        let mut is_known_away = false;
        while !self.shutdown.is_triggered() {
            // Why the consumer ended, if this one is to tell.
            let mut ended = None;
            match self.shutdown.clone().or(self.open()).await {
                None => return,
                Some(Ok(consumer)) => {
                    is_known_away = false;
                    backoff.reset();
                    health.opened(&self.queue);
                    let why = self.work(consumer).await;
                    health.closed(&self.queue, &why.reason);
                    ended = why.is_error.then_some(why.reason);
                }
                Some(Err(error)) => {
                    health.not_opened(&self.queue, &error);
                    if !std::mem::replace(&mut is_known_away, true) {
                        tracing::warn!(queue = self.queue, %error, "waiting for the broker");
                    }
                }
            }
            let tells = ended.filter(|reason| self.intake.endings.note(&self.queue, reason));
            self.shutdown.or(backoff.wait()).await;
            if let Some(error) = tells {
                let consumers = self.intake.endings.take(&self.queue, &error);
                tracing::warn!(queue = self.queue, consumers, error, "consumers ended; making them anew");
            }
        }
    }

    async fn open(&self) -> Result<Consumer> {
        let context = &self.intake.context;
        context.ports.broker.declare(&self.queue, &context.config.group).await?;
        context.ports.broker.consume(&self.queue, &context.config.group, context.config.prefetch).await
    }

    /// Until the consumer ends; or until a stop comes, or a delivery cannot be settled, and all others that it handed out are.
    /// Answers why it ended.
    async fn work(&self, mut consumer: Consumer) -> Why {
        let held = TaskTracker::new();
        let holding = Holding::new(self.intake.stats.clone(), &self.queue);
        // Made once: each would register anew with every delivery.
        let mut stopped = pin!(self.shutdown.triggered());
        let mut unsettled = pin!(holding.unsettled.triggered());
        let mut running = JoinSet::new();
        loop {
            tokio::select! {
                biased;
                () = &mut stopped => break,
                () = &mut unsettled => break,
                Some(_) = running.join_next() => (),
                delivery = consumer.deliveries.next() => match delivery {
                    Some(Ok(delivery)) => self.start(delivery, Hold::new(held.token(), &holding), &mut running).await,
                    Some(Err(error)) => return Why { reason: error.message, is_error: true },
                    None => return Why::quiet("the broker ended it"),
                }
            }
        }
        while running.join_next().await.is_some() {}
        held.close();
        held.wait().await;
        consumer.close().await;
        match self.shutdown.is_triggered() {
            true => Why::quiet("it is stopping"),
            false => Why::quiet("a delivery could not be settled"),
        }
    }

    /// Most handlers end without waiting for anything: those take no task of their own.
    async fn start(&self, delivery: Delivery, hold: Hold, running: &mut JoinSet<()>) {
        let Intake { context, ended, .. } = &self.intake;
        if !delivery.is_live() {
            // It is delivered again, maybe to another worker by now.
            return;
        }
        let execution = execute(context.clone(), self.worker_id.clone(), self.policy, delivery);
        let mut execution = Box::pin(execution);
        match futures::poll!(&mut execution) {
            std::task::Poll::Ready(Executed::Ended(job)) => hand_over(ended, Held { ended: job, hold }).await,
            std::task::Poll::Ready(other) => {
                running.spawn(self.intake.clone().settle_now(other, hold));
            }
            std::task::Poll::Pending => {
                let intake = self.intake.clone();
                running.spawn(async move { intake.settle_now(execution.await, hold).await });
            }
        }
    }
}

impl Intake {
    async fn settle_now(self, executed: Executed, hold: Hold) {
        let (what, settled) = match executed {
            Executed::Ended(job) => return hand_over(&self.ended, Held { ended: job, hold }).await,
            Executed::Retry(failed) => (What::Retry, self.retry(*failed, hold.queue()).await),
            Executed::Unreadable { delivery, reason } => {
                let message = delivery.message.id.clone();
                tracing::warn!(message, reason, "not a job; to the dead queue");
                let settled = delivery.dead(reason).await;
                if let Err(error) = &settled {
                    tracing::warn!(message, %error, "a message is not settled; its consumer is made anew, so that it comes back");
                } else {
                    hold.queue().died(DeathClass::NotUnderstood);
                }
                (What::DeadLetter, settled)
            }
        };
        self.health.publishes.tried(what, &settled);
        if settled.is_err() {
            hold.end_consumer();
        }
    }

    async fn retry(&self, failed: Failed, queue: &Queue) -> Result<()> {
        let Failed { mut delivery, run, after, reason, class, queue: name, way } = failed;
        let (id, now_us) = (delivery.message.id.clone(), self.context.ports.clock.wall_us());
        tracing::debug!(%run, job = id, trace = %way.trace, attempt = delivery.message.attempt, reason, "retry");
        Stats::add(&self.stats.retried, 1);
        let retry = self.context.scribe().next_attempt(&way);
        delivery.message.traceparent = retry.map(|context| context.to_string()).or(delivery.message.traceparent);
        // The next attempt waits from now on.
        delivery.message.timestamp_ms = now_us / 1000;
        let settled = delivery.retry(after).await;
        let settled_us = self.context.ports.clock.wall_us();
        let is_traced = match (&settled, retry) {
            (Ok(()), Some(retry)) => {
                self.context.scribe().retried(&id, &way, retry, (&name, &reason), (after, settled_us))
            }
            _ => false,
        };
        queue.executed(way.took(), is_traced.then_some((way.trace, settled_us)));
        match &settled {
            Ok(()) => queue.retried(class),
            Err(error) => {
                tracing::warn!(%run, job = id, trace = %way.trace, %error, "a retry is not settled; its consumer is made anew, so that it comes back");
            }
        }
        settled
    }
}

async fn hand_over(ended: &mpsc::Sender<Held>, held: Held) {
    // The flusher outlives its senders unless the worker dies; then the delivery comes back by itself.
    _ = ended.send(held).await;
}

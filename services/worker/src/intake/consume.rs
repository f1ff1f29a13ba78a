//! Consumers: take deliveries and start their handlers.
//!
//! A consumer that ends (connection lost, queue deleted) is made anew; its deliveries settle nothing any more and come
//! back. At a stop a consumer takes no more but stays open until the deliveries that it handed out are settled.

use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures::StreamExt as _;
use paceline_core::Result;
use paceline_core::backoff::Backoff;
use paceline_core::policy::Policy;
use paceline_core::ports::broker::{Consumer, Delivery};
use paceline_runtime::lifecycle::Shutdown;
use tokio::task::JoinSet;
use tokio_util::task::TaskTracker;

use super::hold::{HeldJob, Hold, OpenConsumer};
use super::settle::Intake;
use crate::execute::execute;
use crate::execution::Executed;

const RECONNECT_DELAY_MIN: Duration = Duration::from_millis(100);
const RECONNECT_DELAY_MAX: Duration = Duration::from_secs(1);

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

/// The end of a consumer.
struct ConsumerEnd {
    reason: String,
    /// The end is told in the log.
    is_error: bool,
}

impl ConsumerEnd {
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
        let mut is_known_away = false;
        while !self.shutdown.is_triggered() {
            // The reason for the end of the consumer, if this reader is to tell it.
            let mut ended = None;
            match self.shutdown.clone().or(self.open()).await {
                None => return,
                Some(Ok(consumer)) => {
                    is_known_away = false;
                    backoff.reset();
                    ended = self.work_and_note(consumer).await;
                }
                Some(Err(error)) => {
                    self.intake.health.not_opened(&self.queue, &error);
                    if !std::mem::replace(&mut is_known_away, true) {
                        tracing::warn!(queue = self.queue, %error, code = %error.code, "waiting for the broker");
                    }
                }
            }
            self.pause_and_tell(&mut backoff, ended).await;
        }
    }

    /// Works with `consumer` until its end; the reason for that, if it is an error.
    async fn work_and_note(&self, consumer: Consumer) -> Option<String> {
        let health = &self.intake.health;
        health.opened(&self.queue);
        let end = self.work(consumer).await;
        health.closed(&self.queue, &end.reason);
        end.is_error.then_some(end.reason)
    }

    async fn pause_and_tell(&self, backoff: &mut Backoff, ended: Option<String>) {
        let endings = &self.intake.endings;
        let tells = ended.filter(|reason| endings.note(&self.queue, reason));
        self.shutdown.or(backoff.wait()).await;
        if let Some(error) = tells {
            let consumers = endings.take(&self.queue, &error);
            tracing::warn!(queue = self.queue, consumers, error, "consumers ended; making them anew");
        }
    }

    async fn open(&self) -> Result<Consumer> {
        let context = &self.intake.context;
        context.ports.broker.declare(&self.queue, &context.config.group).await?;
        context.ports.broker.consume(&self.queue, &context.config.group, context.config.prefetch).await
    }

    /// Works on deliveries until the consumer ends; or, after a stop or a delivery that cannot be settled, until all other deliveries that
    /// the consumer handed out are settled.
    async fn work(&self, mut consumer: Consumer) -> ConsumerEnd {
        let held = TaskTracker::new();
        let open = OpenConsumer::new(self.intake.stats.clone(), &self.queue);
        // Made once: each would register anew with every delivery.
        let mut stopped = pin!(self.shutdown.triggered());
        let mut unsettled = pin!(open.unsettled.triggered());
        let mut running = JoinSet::new();
        loop {
            tokio::select! {
                biased;
                () = &mut stopped => break,
                () = &mut unsettled => break,
                Some(_) = running.join_next() => (),
                delivery = consumer.deliveries.next() => match delivery {
                    Some(Ok(delivery)) => self.start(delivery, Hold::new(held.token(), &open), &mut running).await,
                    Some(Err(error)) => return ConsumerEnd { reason: error.message, is_error: true },
                    None => return ConsumerEnd::quiet("the broker ended it"),
                }
            }
        }
        while running.join_next().await.is_some() {}
        held.close();
        held.wait().await;
        consumer.close().await;
        match self.shutdown.is_triggered() {
            true => ConsumerEnd::quiet("it is stopping"),
            false => ConsumerEnd::quiet("a delivery could not be settled"),
        }
    }

    /// Most handlers end without waiting for anything: those take no task of their own.
    async fn start(&self, delivery: Delivery, hold: Hold, running: &mut JoinSet<()>) {
        if !delivery.is_live() {
            // The broker delivers it again, maybe to another worker by now.
            return;
        }
        let context = self.intake.context.clone();
        let mut executing = Box::pin(execute(context, self.worker_id.clone(), self.policy, delivery));
        match futures::poll!(&mut executing) {
            Poll::Ready(Executed::Ended(execution)) => self.intake.hand_over(HeldJob { execution, hold }).await,
            Poll::Ready(other) => _ = running.spawn(self.intake.clone().settle_now(other, hold)),
            Poll::Pending => {
                let intake = self.intake.clone();
                running.spawn(async move { intake.settle_now(executing.await, hold).await });
            }
        }
    }
}

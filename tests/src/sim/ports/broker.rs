//! The broker port over the model. A consumer's acks are gathered and travel in order; they are lost only together with their
//! consumer, as on a connection.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt as _;
use futures::stream;
use paceline_core::ids::{JobId, RunId};
use paceline_core::ports::Broker;
use paceline_core::ports::broker::{Confirm, Consumer, DELIVERY_LIMIT, DeadLetter, Delivery, Depth, Message, Settle};
use paceline_core::{Error, Result, retry};
use tokio::sync::mpsc;

use crate::sim::laws::Laws;
use crate::sim::models::broker::{Entry, How, Name};
use crate::sim::net::{Call, Link, sleep_us};
use crate::sim::world::{At, State, World};

pub struct SimBroker(pub Link);

impl State {
    /// One publish: all of it, or a part and an error.
    fn publish(&mut self, queue: &str, batch: &[Message]) -> Result<Vec<Confirm>> {
        let (refuse_percent, error_percent) = self.storm.broker_overload();
        let fails_at = (self.random.u32(0..100) < error_percent).then(|| self.random.usize(0..=batch.len()));
        let mut confirms = Vec::with_capacity(batch.len());
        for (index, message) in batch.iter().enumerate() {
            if fails_at == Some(index) {
                return Err(Error::unavailable("broker: connection closed"));
            }
            if self.random.u32(0..100) < refuse_percent {
                confirms.push(Confirm::Refused("full".into()));
                continue;
            }
            let place = if self.storm.is_reordering() { self.random.usize(0..8) } else { 0 };
            let confirm = self.broker.publish(queue, message, place);
            if confirm == Confirm::Confirmed
                && let (Ok(run), Some(seq)) = (RunId::parse(&message.run), message.seq)
                && self.laws.are_on
            {
                self.laws.of(&run).in_broker.insert(seq);
            }
            confirms.push(confirm);
        }
        match fails_at {
            Some(_) => Err(Error::unavailable("broker: connection closed")),
            None => Ok(confirms),
        }
    }

    /// L4 and the settlement itself; whether its consumer still lives.
    fn settle(&mut self, (name, consumer, entry): (&Name, u64, u64), how: How) -> bool {
        let held = self.broker.held(name, consumer, entry).map(|entry| entry.message.clone());
        if let Some(message) = held.filter(|_| self.laws.are_on && matches!(how, How::Ack | How::Dead { .. })) {
            self.check_acknowledged(&name.1, &message);
        }
        self.broker.settle(name, consumer, entry, how)
    }

    fn check_acknowledged(&mut self, group: &str, message: &Message) {
        let (Ok(run), Some(seq)) = (RunId::parse(&message.run), message.seq) else { return };
        let is_stored = self.sink.get(&run, &JobId::new(run.clone(), seq).to_string()).is_some();
        let counted = self.ledger.entry(&run).and_then(|entry| entry.groups.get(group));
        let is_counted = counted.is_some_and(|group| group.admitted.contains(seq)) || self.laws.was_recorded(&run, seq);
        let verdict = Laws::acknowledged(seq, is_stored, is_counted);
        self.judge(&run, verdict);
    }
}

#[async_trait]
impl Broker for SimBroker {
    async fn declare(&self, queue: &str, group: &str) -> Result<()> {
        let (queue, group) = (queue.to_owned(), group.to_owned());
        let effect = move |state: &mut State, _: At| {
            state.broker.declare(&queue, &group);
            Ok(())
        };
        self.0.call(Call::idempotent("declare", String::new()), effect).await
    }

    async fn publish(&self, queue: &str, batch: Vec<Message>) -> Result<Vec<Confirm>> {
        let seqs: Vec<u64> = batch.iter().filter_map(|message| message.seq).collect();
        let call = Call::idempotent("publish", format!("{seqs:?}"));
        let queue = queue.to_owned();
        self.0.call(call, move |state, _| state.publish(&queue, &batch)).await
    }

    async fn consume(&self, queue: &str, group: &str, prefetch: u16) -> Result<Consumer> {
        let name: Name = (queue.to_owned(), group.to_owned());
        let link = self.0.clone();
        // The answer holds the membership: if it never arrives, the connection is gone, and the consumer with it.
        let effect = move |state: &mut State, _: At| {
            let (number, handed) = state.broker.consume(&name, prefetch, link.process.number())?;
            let channel = Channel { link: link.clone(), name: name.clone(), number, acks: Mutex::default() };
            Ok((handed, Membership(Arc::new(channel))))
        };
        let (handed, membership) = self.0.call(Call::new("consume", String::new()), effect).await?;
        let closing = membership.0.clone();
        let deliveries = stream::unfold(Some((handed, membership)), next_delivery);
        Ok(Consumer {
            deliveries: deliveries.boxed(),
            closing: Box::pin(async move {
                closing.link.reachable().await;
                closing.flush();
            }),
        })
    }

    async fn depth(&self, queue: &str, group: &str) -> Result<Depth> {
        let name = (queue.to_owned(), group.to_owned());
        self.0
            .call(Call::idempotent("depth", String::new()), move |state, _| {
                let depth = state.broker.depth(&name)?;
                Ok(Depth { unacked: depth.unacked.filter(|_| state.storm.tells_unacked), ..depth })
            })
            .await
    }

    async fn purge(&self, queue: &str, group: &str) -> Result<u64> {
        let name = (queue.to_owned(), group.to_owned());
        self.0.call(Call::new("purge", String::new()), move |state, _| state.broker.purge(&name)).await
    }

    async fn dead_letters(&self, queue: &str, group: &str, limit: usize) -> Result<Vec<DeadLetter>> {
        let name = (queue.to_owned(), group.to_owned());
        let call = Call::idempotent("dead_letters", String::new());
        self.0.call(call, move |state, _| state.broker.dead_letters(&name, limit)).await
    }

    async fn check(&self) -> Result<String> {
        self.0.call(Call::idempotent("check", String::new()), |_, _| Ok("simulated broker 1".to_owned())).await
    }
}

/// A consumer's side of its connection.
struct Channel {
    link: Link,
    name: Name,
    number: u64,
    /// Settled by the process, not yet seen by the broker.
    acks: Mutex<Vec<(u64, How)>>,
}

/// Ends the consumer when its stream is dropped, sooner or later: the broker notices a dead process by its connection.
struct Membership(Arc<Channel>);

type Source = Option<(mpsc::UnboundedReceiver<Entry>, Membership)>;

async fn next_delivery(source: Source) -> Option<(Result<Delivery>, Source)> {
    let (mut handed, membership) = source?;
    let entry = handed.recv().await;
    let channel = &membership.0;
    channel.link.reachable().await;
    let Some(entry) = entry else {
        return Some((Err(Error::unavailable("broker: the consumer was cancelled")), None));
    };
    let given_up = (entry.redeliveries >= DELIVERY_LIMIT).then(|| format!("delivered {} times", entry.redeliveries));
    let settle = Box::new(Settlement { channel: channel.clone(), entry: entry.id });
    let delivery = Delivery { message: entry.message, redeliveries: entry.redeliveries, given_up, settle };
    Some((Ok(delivery), Some((handed, membership))))
}

impl Drop for Membership {
    fn drop(&mut self) {
        const NOTICED_WITHIN_US: u64 = 500_000;
        let channel = self.0.clone();
        let link = channel.link.clone();
        let is_dead = link.process.crash().is_triggered();
        if !is_dead {
            channel.end();
            return;
        }
        let noticed_us = link.world.state().random.u64(0..NOTICED_WITHIN_US);
        link.world.tasks().spawn(async move {
            sleep_us(noticed_us).await;
            channel.end();
        });
    }
}

impl Channel {
    fn ack(self: &Arc<Self>, entry: u64, how: How) {
        let mut acks = self.acks();
        acks.push((entry, how));
        if acks.len() > 1 {
            return;
        }
        drop(acks);
        let channel = self.clone();
        let delay_us = self.link.world.state().random.u64(0..2_000);
        self.link.world.tasks().spawn(async move {
            sleep_us(delay_us).await;
            // The ones of a dead process may have been sent, or not.
            if channel.link.process.crash().is_triggered() && channel.link.world.state().random.bool() {
                channel.acks().clear();
                return;
            }
            channel.link.reachable().await;
            channel.flush();
        });
    }

    /// Everything that is gathered reaches the broker.
    fn flush(&self) {
        let acks = std::mem::take(&mut *self.acks());
        if acks.is_empty() {
            return;
        }
        let process = &self.link.process;
        self.link.world.step(self.link.world.at(process.number()), |state| {
            let count = acks.len();
            let mut settled = Vec::with_capacity(count);
            for (entry, how) in acks {
                if state.settle((&self.name, self.number, entry), how) {
                    settled.push(entry);
                }
            }
            ((), format!("{} broker.ack consumer {} deliveries {settled:?} of {count}", process.name(), self.number))
        });
    }

    fn end(&self) {
        self.flush_at_end();
        let process = &self.link.process;
        self.link.world.step(self.link.world.at(process.number()), |state| {
            let was_there = state.broker.end_consumer(&self.name, self.number);
            ((), format!("{} broker.end consumer {}: {was_there}", process.name(), self.number))
        });
    }

    /// A consumer that is dropped in a living process has sent its acks before.
    fn flush_at_end(&self) {
        let is_dead = self.link.process.crash().is_triggered();
        let is_cut = self.link.world.state().storm.is_cut(self.link.process.place(), self.link.service);
        if !is_dead && !is_cut {
            self.flush();
        }
    }

    fn acks(&self) -> std::sync::MutexGuard<'_, Vec<(u64, How)>> {
        self.acks.lock().expect("no code panics while it holds the acks")
    }
}

struct Settlement {
    channel: Arc<Channel>,
    entry: u64,
}

impl Settlement {
    /// Moves the message elsewhere and settles it, both or neither.
    async fn move_to(self: Box<Self>, name: &'static str, how: impl Fn(At) -> How + Send + 'static) -> Result<()> {
        let (queue, consumer, entry) = (self.channel.name.clone(), self.channel.number, self.entry);
        let effect = move |state: &mut State, at: At| match state.settle((&queue, consumer, entry), how(at)) {
            true => Ok(()),
            false => Err(Error::aborted("the delivery's consumer is gone; the message comes back by itself")),
        };
        let words = format!("consumer {consumer} delivery {entry}");
        self.channel.link.call(Call::idempotent(name, words), effect).await
    }
}

#[async_trait]
impl Settle for Settlement {
    fn ack(self: Box<Self>) {
        self.channel.ack(self.entry, How::Ack);
    }

    async fn retry(self: Box<Self>, retry: Message, after: Duration) -> Result<()> {
        let world = self.channel.link.world.clone();
        let after_ms = u64::try_from(retry::round_up(after).as_millis()).unwrap_or(u64::MAX);
        // Due by the broker's clock, from its arrival on.
        let how = move |at: At| {
            world.tasks().spawn(bring_back(world.clone(), after_ms));
            How::Retry { message: retry.clone(), due_ms: at.now_us / 1000 + after_ms }
        };
        self.move_to("retry", how).await
    }

    async fn dead(self: Box<Self>, message: Message, reason: String) -> Result<()> {
        self.move_to("dead", move |_| How::Dead { message: message.clone(), reason: reason.clone() }).await
    }

    fn give_back(self: Box<Self>) {
        self.channel.ack(self.entry, How::GiveBack);
    }
}

async fn bring_back(world: World, after_ms: u64) {
    tokio::time::sleep(Duration::from_millis(after_ms + 1)).await;
    let now_ms = world.now_ms();
    world.step(world.at(0), |state| {
        state.broker.bring_back(now_ms);
        ((), "broker brings back what is due".to_owned())
    });
}

//! Deliveries as a consumer gets them, and how each is settled.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use paceline_core::ports::broker::{DELIVERY_LIMIT, Delivery, Message, Settle};
use paceline_core::{Error, Result, retry};
use tokio::sync::mpsc;

use super::channel::{Channel, Membership};
use crate::at::At;
use crate::models::broker::{Entry, How};
use crate::net::Call;
use crate::world::{State, World};

pub type Source = Option<(mpsc::UnboundedReceiver<Entry>, Membership)>;

pub async fn next_delivery(source: Source) -> Option<(Result<Delivery>, Source)> {
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

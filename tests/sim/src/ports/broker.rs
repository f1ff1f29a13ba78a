//! The broker port over the model. A call goes over the network and has its effect in one step; what a consumer holds is bound to the
//! consumer's connection.

mod channel;
mod delivery;
mod effects;

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures::StreamExt as _;
use futures::stream;
use paceline_core::Result;
use paceline_core::ports::Broker;
use paceline_core::ports::broker::{Confirm, Consumer, DeadLetter, Depth, Message};

use crate::at::At;
use crate::models::broker::Name;
use crate::net::{Call, Link};
use crate::world::State;
use channel::{Channel, Membership};
use delivery::next_delivery;

pub struct SimBroker(pub Link);

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

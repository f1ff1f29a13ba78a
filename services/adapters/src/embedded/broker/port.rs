//! The broker port itself: each method is a step on [`Queue`]s and the file.

use std::sync::Arc;

use async_trait::async_trait;
use futures::StreamExt as _;
use futures::stream;
use paceline_core::ports::Broker;
use paceline_core::ports::broker::{Confirm, Consumer, DeadLetter, Depth, Message};
use paceline_core::{Error, Result};

use super::queue::Queue;
use super::store;
use super::{EmbeddedBroker, Shared};

#[async_trait]
impl Broker for EmbeddedBroker {
    async fn declare(&self, queue: &str, group: &str) -> Result<()> {
        if self.shared.queues().contains_key(&(queue.to_owned(), group.to_owned())) {
            return Ok(());
        }
        let (name, member) = (queue.to_owned(), group.to_owned());
        let change = move |connection: &rusqlite::Connection| {
            let number = store::declare(connection, &name, &member)?;
            Ok((name, member, Queue::new(number, store::extent(connection, number)?)))
        };
        let shared = self.shared.clone();
        let after = move |(name, member, queue): (String, String, Queue)| {
            // Two may declare at once; the first one's queue is everybody's.
            shared.queues().entry((name, member)).or_insert_with(|| Arc::new(queue));
        };
        self.shared.database.write_then(change, after).await?;
        // Delayed messages of an earlier process may be due.
        self.shared.delayed.notify_one();
        Ok(())
    }

    async fn publish(&self, queue: &str, batch: Vec<Message>) -> Result<Vec<Confirm>> {
        self.shared.restore().await?;
        let targets: Vec<Arc<Queue>> = self
            .shared
            .queues()
            .iter()
            .filter(|((name, _), _)| name == queue)
            .map(|(_, queue)| queue.clone())
            .collect();
        if targets.is_empty() {
            return Ok(vec![Confirm::Unroutable; batch.len()]);
        }
        let (count, shared) = (batch.len(), self.shared.clone());
        let change = move |connection: &rusqlite::Connection| {
            let mut written = Vec::with_capacity(targets.len());
            for queue in targets {
                let first_id = queue.reserve_ids(batch.len());
                store::append(connection, queue.number, first_id, &batch)?;
                written.push((queue, first_id));
            }
            Ok((written, batch))
        };
        let after = move |(written, batch): (Vec<(Arc<Queue>, i64)>, Vec<Message>)| {
            let mut written = written.into_iter();
            let last = written.next_back();
            written.for_each(|(queue, first_id)| queue.committed(&shared, first_id, batch.clone()));
            if let Some((queue, first_id)) = last {
                queue.committed(&shared, first_id, batch);
            }
        };
        self.shared.database.write_then(change, after).await?;
        Ok(vec![Confirm::Confirmed; count])
    }

    async fn consume(&self, queue: &str, group: &str, prefetch: u16) -> Result<Consumer> {
        let (shared, queue) = (self.shared.clone(), self.shared.queue(queue, group).await?);
        let (number, receiver) = queue.subscribe(&shared, prefetch);
        let membership = Membership { shared: shared.clone(), queue, number };
        let deliveries = stream::unfold((receiver, membership), |(mut receiver, membership)| async {
            let delivery = receiver.recv().await?;
            Some((Ok(delivery), (receiver, membership)))
        });
        let closing = Box::pin(async move {
            if let Err(error) = shared.flush_acks().await {
                tracing::warn!(%error, "acknowledged messages are not deleted; they come back");
            }
        });
        Ok(Consumer { deliveries: deliveries.boxed(), closing })
    }

    async fn depth(&self, queue: &str, group: &str) -> Result<Depth> {
        let queue = self.shared.queue(queue, group).await?;
        self.shared.flush_acks().await?;
        let number = queue.number;
        let (delayed, dead) = self.shared.database.read(move |connection| store::counts(connection, number)).await?;
        let (ready, unacked) = queue.counts();
        let whole = |count: i64| u64::try_from(count).unwrap_or(0);
        Ok(Depth { ready, unacked: Some(unacked), delayed: whole(delayed), dead: whole(dead) })
    }

    async fn purge(&self, queue: &str, group: &str) -> Result<u64> {
        let queue = self.shared.queue(queue, group).await?;
        self.shared.flush_acks().await?;
        let change = move |connection: &rusqlite::Connection| {
            let (ids, above) = queue.forget_ready();
            store::delete(connection, queue.number, &ids)?;
            Ok(ids.len() + store::delete_above(connection, queue.number, above)?)
        };
        Ok(self.shared.database.write(change).await? as u64)
    }

    async fn dead_letters(&self, queue: &str, group: &str, limit: usize) -> Result<Vec<DeadLetter>> {
        let number = self.shared.queue(queue, group).await?.number;
        let letters = self.shared.database.read(move |connection| store::dead(connection, number, limit)).await?;
        Ok(letters.into_iter().map(|(message, reason)| DeadLetter { message, reason }).collect())
    }

    async fn check(&self) -> Result<String> {
        let version: String = self
            .shared
            .database
            .read(|connection| connection.query_row("SELECT sqlite_version()", [], |row| row.get(0)))
            .await?;
        Ok(format!("embedded, SQLite {version}, {}", self.shared.database.path().display()))
    }
}

/// Gives back what a consumer holds when its stream is dropped.
struct Membership {
    shared: Arc<Shared>,
    queue: Arc<Queue>,
    number: u64,
}

impl Drop for Membership {
    fn drop(&mut self) {
        let returned = self.queue.unsubscribe(&self.shared, self.number);
        if returned.is_empty() {
            return;
        }
        let number = self.queue.number;
        // Only the count of redeliveries is written; the messages are ready in the file all along.
        self.shared
            .database
            .write_detached(move |connection| Ok(store::count_redelivery(connection, number, &returned)?));
    }
}

impl Shared {
    /// A declared queue, also of an earlier process.
    async fn queue(self: &Arc<Self>, queue: &str, group: &str) -> Result<Arc<Queue>> {
        self.restore().await?;
        let found = self.queues().get(&(queue.to_owned(), group.to_owned())).cloned();
        found.ok_or_else(|| {
            Error::not_found(format!(
                "queue {queue:?} of group {group:?} is not declared; the first worker or producer makes it"
            ))
        })
    }

    /// Once, at first use: the queues that an earlier process declared.
    async fn restore(self: &Arc<Self>) -> Result<()> {
        let shared = self.clone();
        self.restored
            .get_or_try_init(|| async move {
                let change = |connection: &rusqlite::Connection| {
                    let mut queues = Vec::new();
                    for (name, group, number) in store::declared(connection)? {
                        queues.push(((name, group), Queue::new(number, store::extent(connection, number)?)));
                    }
                    Ok(queues)
                };
                let after_shared = shared.clone();
                let after = move |queues: Vec<((String, String), Queue)>| {
                    let mut known = after_shared.queues();
                    for (name, queue) in queues {
                        known.entry(name).or_insert_with(|| Arc::new(queue));
                    }
                };
                shared.database.write_then(change, after).await
            })
            .await
            .copied()
    }
}

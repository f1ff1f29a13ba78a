//! The broker port itself: each method is a step on [`MemoryQueue`]s and the file.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use futures::StreamExt as _;
use futures::stream;
use paceline_core::Result;
use paceline_core::clock::SharedClock;
use paceline_core::ports::Broker;
use paceline_core::ports::broker::{Confirm, Consumer, DELIVERY_LIMIT, DeadLetter, Delivery, Depth, Message};
use tokio::task::JoinSet;

use super::queue::{Entry, MemoryQueue};
use super::settle::{self, Settlement};
use super::shared::SharedQueues;
use super::{delays, store};
use crate::embedded::database::Database;

/// The broker of one folder. Dropping it ends its tasks; unsettled messages are ready at the next opening.
pub struct EmbeddedBroker {
    shared: Arc<SharedQueues>,
    _tasks: JoinSet<()>,
}

impl EmbeddedBroker {
    /// Opens or makes `folder/broker.db`. Must be called within a Tokio runtime.
    pub fn open(folder: &Path, clock: SharedClock) -> Result<Self> {
        let database = Database::open(folder, "broker.db", store::SCHEMA)?;
        let shared = Arc::new(SharedQueues::new(database, clock));
        let mut tasks = JoinSet::new();
        tasks.spawn(settle::flush_acks_for_ever(shared.clone()));
        tasks.spawn(delays::bring_back_for_ever(shared.clone()));
        Ok(Self { shared, _tasks: tasks })
    }
}

#[async_trait]
impl Broker for EmbeddedBroker {
    async fn declare(&self, queue: &str, group: &str) -> Result<()> {
        if self.shared.queues().contains_key(&(queue.to_owned(), group.to_owned())) {
            return Ok(());
        }
        let (name, member) = (queue.to_owned(), group.to_owned());
        let (shared, database) = (self.shared.clone(), self.shared.database.clone());
        let change = move |connection: &rusqlite::Connection| {
            let number = store::declare(connection, &name, &member)?;
            Ok((name, member, MemoryQueue::new(database, number, store::extent(connection, number)?)))
        };
        let after = move |(name, member, queue): (String, String, MemoryQueue)| {
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
        let targets: Vec<Arc<MemoryQueue>> = self
            .shared
            .queues()
            .iter()
            .filter(|((name, _), _)| name == queue)
            .map(|(_, queue)| queue.clone())
            .collect();
        if targets.is_empty() {
            return Ok(vec![Confirm::Unroutable; batch.len()]);
        }
        let count = batch.len();
        let change = move |connection: &rusqlite::Connection| {
            let mut written = Vec::with_capacity(targets.len());
            for queue in targets {
                let first_id = queue.reserve_ids(batch.len());
                store::append(connection, queue.number, first_id, &batch)?;
                written.push((queue, first_id));
            }
            Ok((written, batch))
        };
        let after = |(written, batch): (Vec<(Arc<MemoryQueue>, i64)>, Vec<Message>)| {
            let mut written = written.into_iter();
            let last = written.next_back();
            written.for_each(|(queue, first_id)| queue.committed(first_id, batch.clone()));
            if let Some((queue, first_id)) = last {
                queue.committed(first_id, batch);
            }
        };
        self.shared.database.write_then(change, after).await?;
        Ok(vec![Confirm::Confirmed; count])
    }

    async fn consume(&self, queue: &str, group: &str, prefetch: u16) -> Result<Consumer> {
        let (shared, queue) = (self.shared.clone(), self.shared.queue(queue, group).await?);
        let (number, receiver) = queue.subscribe(prefetch);
        let membership = Membership { shared: shared.clone(), queue, number };
        let deliveries = stream::unfold((receiver, membership), |(mut receiver, membership)| async {
            let entry = receiver.recv().await?;
            Some((Ok(membership.delivery(entry)), (receiver, membership)))
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

/// A consumer of a queue. When its stream is dropped, the messages that the consumer holds go back to the queue.
struct Membership {
    shared: Arc<SharedQueues>,
    queue: Arc<MemoryQueue>,
    number: u64,
}

impl Membership {
    fn delivery(&self, Entry { id, redeliveries, message }: Entry) -> Delivery {
        let settlement = Settlement::new(self.shared.clone(), self.queue.clone(), self.number, id);
        let given_up = (redeliveries >= DELIVERY_LIMIT).then(|| format!("delivered {redeliveries} times"));
        Delivery { message, redeliveries, given_up, settle: Box::new(settlement) }
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        let returned = self.queue.unsubscribe(self.number);
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

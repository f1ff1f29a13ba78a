//! What becomes of a delivery. Acks are gathered and deleted together; a move to another table is one transaction.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use paceline_core::ports::broker::{Message, Settle};
use paceline_core::{Error, Result, retry};

use super::Shared;
use super::queue::{Queue, Release};
use super::store;

pub struct Settlement {
    shared: Arc<Shared>,
    queue: Arc<Queue>,
    consumer: u64,
    id: i64,
}

impl Settlement {
    pub fn new(shared: Arc<Shared>, queue: Arc<Queue>, consumer: u64, id: i64) -> Self {
        Self { shared, queue, consumer, id }
    }

    /// Deletes the ready row and lets `into` write the message elsewhere, both or neither.
    async fn move_to(
        &self,
        into: impl FnOnce(&rusqlite::Connection, i64) -> rusqlite::Result<()> + Send + 'static,
    ) -> Result<()> {
        if !self.queue.holds(self.consumer, self.id) {
            return Err(Error::aborted("the delivery's consumer is gone; the message comes back by itself"));
        }
        let (number, id) = (self.queue.number, self.id);
        let moved = self.shared.database.write(move |connection| {
            store::delete(connection, number, &[id])?;
            Ok(into(connection, number)?)
        });
        moved.await?;
        self.queue.release(&self.shared, self.consumer, self.id, Release::Moved);
        Ok(())
    }
}

#[async_trait]
impl Settle for Settlement {
    fn ack(self: Box<Self>) {
        if self.queue.release(&self.shared, self.consumer, self.id, Release::Acked).is_some() {
            self.shared.acked.notify_one();
        }
    }

    async fn retry(self: Box<Self>, message: Message, after: Duration) -> Result<()> {
        let after_ms = i64::try_from(retry::round_up(after).as_millis()).unwrap_or(i64::MAX);
        let due_ms = self.shared.clock.wall_ms() + after_ms;
        self.move_to(move |connection, queue| store::delay(connection, queue, due_ms, &message)).await?;
        self.shared.delayed.notify_one();
        Ok(())
    }

    async fn dead(self: Box<Self>, message: Message, reason: String) -> Result<()> {
        self.move_to(move |connection, queue| store::bury(connection, queue, &reason, &message)).await
    }

    fn give_back(self: Box<Self>) {
        self.queue.release(&self.shared, self.consumer, self.id, Release::GivenBack);
    }
}

/// Deletes what is acked, whenever something is; what comes meanwhile shares the next transaction.
pub async fn flush_acks_for_ever(shared: Arc<Shared>) {
    const RETRY_DELAY: Duration = Duration::from_millis(500);
    loop {
        shared.acked.notified().await;
        if let Err(error) = shared.flush_acks().await {
            tracing::warn!(%error, "acknowledged messages are not deleted yet");
            tokio::time::sleep(RETRY_DELAY).await;
            shared.acked.notify_one();
        }
    }
}

impl Shared {
    /// Deletes everything that was acked before the call.
    pub async fn flush_acks(&self) -> Result<()> {
        for queue in self.all_queues() {
            let ids = queue.take_acked();
            if ids.is_empty() {
                continue;
            }
            let (number, doomed) = (queue.number, ids.clone());
            let deleted = self.database.write(move |connection| Ok(store::delete(connection, number, &doomed)?)).await;
            if let Err(error) = deleted {
                queue.put_back_acked(ids);
                return Err(error);
            }
        }
        Ok(())
    }
}

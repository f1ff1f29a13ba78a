//! Settles deliveries. Acks are gathered and deleted together; a move to another table is one transaction.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use paceline_core::backoff::Backoff;
use paceline_core::error::codes;
use paceline_core::ports::broker::{Message, Settle};
use paceline_core::{Error, Result, retry};

use super::queue::{MemoryQueue, Release};
use super::shared::SharedQueues;
use super::store;

/// The first and the longest pause before acks that could not be deleted are tried again.
const RETRY_DELAY_MIN: Duration = Duration::from_millis(500);
const RETRY_DELAY_MAX: Duration = Duration::from_secs(1);

pub struct Settlement {
    shared: Arc<SharedQueues>,
    queue: Arc<MemoryQueue>,
    consumer: u64,
    id: i64,
}

impl Settlement {
    pub fn new(shared: Arc<SharedQueues>, queue: Arc<MemoryQueue>, consumer: u64, id: i64) -> Self {
        Self { shared, queue, consumer, id }
    }

    /// Deletes the ready row and lets `into` write the message elsewhere, both or neither.
    async fn move_to(
        &self,
        into: impl FnOnce(&rusqlite::Connection, i64) -> rusqlite::Result<()> + Send + 'static,
    ) -> Result<()> {
        if !self.queue.holds(self.consumer, self.id) {
            return Err(Error::aborted("the delivery's consumer is gone; the message comes back by itself")
                .coded(codes::DELIVERY_LOST));
        }
        let (number, id) = (self.queue.number, self.id);
        let moved = self.shared.database.write(move |connection| {
            store::delete(connection, number, &[id])?;
            Ok(into(connection, number)?)
        });
        moved.await?;
        self.queue.release(self.consumer, self.id, Release::Moved);
        Ok(())
    }
}

#[async_trait]
impl Settle for Settlement {
    fn ack(self: Box<Self>) {
        if self.queue.release(self.consumer, self.id, Release::Acked).is_some() {
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
        self.queue.release(self.consumer, self.id, Release::GivenBack);
    }
}

/// Deletes acknowledged messages whenever there are some; acks that come meanwhile share the next transaction.
pub async fn flush_acks_for_ever(shared: Arc<SharedQueues>) {
    let mut backoff = Backoff::new(RETRY_DELAY_MIN, RETRY_DELAY_MAX);
    loop {
        shared.acked.notified().await;
        match shared.flush_acks().await {
            Ok(()) => backoff.reset(),
            Err(error) => {
                tracing::warn!(%error, "acknowledged messages are not deleted yet");
                backoff.wait().await;
                shared.acked.notify_one();
            }
        }
    }
}

//! Shared by the port, its consumers and its deliveries: the file, the clock, and the queues that are known.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use paceline_core::clock::SharedClock;
use paceline_core::error::codes;
use paceline_core::{Error, Result};
use tokio::sync::{Notify, OnceCell};

use super::queue::MemoryQueue;
use super::store;
use crate::embedded::database::Database;

pub struct SharedQueues {
    pub database: Database,
    pub clock: SharedClock,
    /// The queues, by (queue, group).
    queues: Mutex<BTreeMap<(String, String), Arc<MemoryQueue>>>,
    /// Set once the queues of an earlier process are known.
    restored: OnceCell<()>,
    /// An ack waits for its flush.
    pub acked: Notify,
    /// A message was delayed: the next due time may be sooner.
    pub delayed: Notify,
}

impl SharedQueues {
    pub fn new(database: Database, clock: SharedClock) -> Self {
        let (queues, restored, acked, delayed) = (Mutex::default(), OnceCell::new(), Notify::new(), Notify::new());
        Self { database, clock, queues, restored, acked, delayed }
    }

    pub fn queues(&self) -> MutexGuard<'_, BTreeMap<(String, String), Arc<MemoryQueue>>> {
        self.queues.lock().expect("no code panics while it holds the queues")
    }

    pub fn all_queues(&self) -> Vec<Arc<MemoryQueue>> {
        self.queues().values().cloned().collect()
    }

    /// A declared queue, also of an earlier process.
    pub async fn queue(self: &Arc<Self>, queue: &str, group: &str) -> Result<Arc<MemoryQueue>> {
        self.restore().await?;
        let found = self.queues().get(&(queue.to_owned(), group.to_owned())).cloned();
        found.ok_or_else(|| {
            Error::not_found(format!(
                "queue {queue:?} of group {group:?} is not declared; the first worker or producer makes it"
            ))
            .coded(codes::QUEUE_MISSING)
        })
    }

    /// Once, at first use: the queues that an earlier process declared.
    pub async fn restore(self: &Arc<Self>) -> Result<()> {
        self.restored.get_or_try_init(|| self.clone().restore_queues()).await.copied()
    }

    async fn restore_queues(self: Arc<Self>) -> Result<()> {
        let database = self.database.clone();
        let change = move |connection: &rusqlite::Connection| {
            let mut queues = Vec::new();
            for (name, group, number) in store::declared(connection)? {
                let extent = store::extent(connection, number)?;
                queues.push(((name, group), MemoryQueue::new(database.clone(), number, extent)));
            }
            Ok(queues)
        };
        let shared = self.clone();
        let after = move |queues: Vec<((String, String), MemoryQueue)>| {
            let mut known = shared.queues();
            for (name, queue) in queues {
                known.entry(name).or_insert_with(|| Arc::new(queue));
            }
        };
        self.database.write_then(change, after).await
    }

    /// Deletes every message that was acknowledged before the call.
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

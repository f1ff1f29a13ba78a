//! The broker port over one SQLite file: messages in tables, what is handed out in memory.
//!
//! Durable is only what must be: ready, delayed and dead messages. What a consumer holds is ready on disk, so the death of
//! the process gives everything back. [`queue`] hands out, [`store`] keeps, [`settle`] acts on a delivery, [`delays`] brings
//! retries back when they are due.

mod delays;
mod port;
mod queue;
mod settle;
mod store;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use paceline_core::Result;
use paceline_core::clock::SharedClock;
use tokio::sync::{Notify, OnceCell};
use tokio::task::JoinSet;

use super::database::Database;
use queue::Queue;

/// See the module's documentation. Dropping it ends its tasks; unsettled messages are ready at the next opening.
pub struct EmbeddedBroker {
    shared: Arc<Shared>,
    _tasks: JoinSet<()>,
}

/// What queues, consumers and deliveries share.
struct Shared {
    database: Database,
    clock: SharedClock,
    /// By (queue, group).
    queues: Mutex<BTreeMap<(String, String), Arc<Queue>>>,
    /// Set once the queues of an earlier process are known.
    restored: OnceCell<()>,
    /// An ack waits for its flush.
    acked: Notify,
    /// A message was delayed: the next due time may be sooner.
    delayed: Notify,
}

impl EmbeddedBroker {
    /// Opens or makes `folder/broker.db`. Must be called within a Tokio runtime.
    pub fn open(folder: &Path, clock: SharedClock) -> Result<Self> {
        let database = Database::open(folder, "broker.db", store::SCHEMA)?;
        let (acked, delayed) = (Notify::new(), Notify::new());
        let shared =
            Arc::new(Shared { database, clock, queues: Mutex::default(), restored: OnceCell::new(), acked, delayed });
        let mut tasks = JoinSet::new();
        tasks.spawn(settle::flush_acks_for_ever(shared.clone()));
        tasks.spawn(delays::bring_back_for_ever(shared.clone()));
        Ok(Self { shared, _tasks: tasks })
    }
}

impl Shared {
    fn queues(&self) -> MutexGuard<'_, BTreeMap<(String, String), Arc<Queue>>> {
        self.queues.lock().expect("no code panics while it holds the queues")
    }

    fn all_queues(&self) -> Vec<Arc<Queue>> {
        self.queues().values().cloned().collect()
    }
}

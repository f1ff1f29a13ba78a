//! The queues that this producer has made or found.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard};

use paceline_core::Result;
use paceline_core::ports::Broker;

use crate::specs::KnownSpec;

/// The declared queues, by queue and group.
#[derive(Default)]
pub struct DeclaredQueues(Mutex<HashSet<(String, String)>>);

impl DeclaredQueues {
    /// Makes the queue of every group of the run: a group that joined late would miss the jobs before it.
    pub async fn declare_once(&self, broker: &dyn Broker, known: &KnownSpec) -> Result<()> {
        for group in known.groups.iter() {
            let place = (known.queue.clone(), group.to_owned());
            if self.lock().contains(&place) {
                continue;
            }
            broker.declare(&known.queue, group).await?;
            self.lock().insert(place);
        }
        Ok(())
    }

    pub fn forget(&self, queue: &str) {
        self.lock().retain(|(declared, _)| declared != queue);
    }

    pub fn all(&self) -> Vec<(String, String)> {
        self.lock().iter().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<(String, String)>> {
        self.0.lock().expect("no code panics while it holds the declared queues")
    }
}

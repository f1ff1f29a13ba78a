//! A broker that takes nothing for a while, in one of the ways in which a real one does. Everything else goes to the broker behind it.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;

use crate::error::{Error, Result};
use crate::ports::Broker;
use crate::ports::broker::{Confirm, Consumer, DeadLetter, Depth, Message};

/// The broker's answer to a publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mood {
    Well,
    /// Nobody reaches the broker.
    Away,
    /// Every message is refused.
    Full,
    /// No queue takes a message, also after the queue was made again.
    Unroutable,
}

pub(super) struct Fickle {
    behind: Arc<dyn Broker>,
    mood: Mutex<Mood>,
}

impl Fickle {
    pub(super) fn new(behind: Arc<dyn Broker>) -> Self {
        Self { behind, mood: Mutex::new(Mood::Well) }
    }

    pub(super) fn becomes(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    fn mood(&self) -> Mood {
        *self.mood.lock().unwrap()
    }

    fn reach(&self) -> Result<()> {
        match self.mood() {
            Mood::Away => Err(Error::unavailable("broker: connection refused")),
            Mood::Well | Mood::Full | Mood::Unroutable => Ok(()),
        }
    }
}

#[async_trait]
impl Broker for Fickle {
    async fn declare(&self, queue: &str, group: &str) -> Result<()> {
        self.reach()?;
        self.behind.declare(queue, group).await
    }

    async fn publish(&self, queue: &str, batch: Vec<Message>) -> Result<Vec<Confirm>> {
        self.reach()?;
        match self.mood() {
            Mood::Full => Ok(vec![Confirm::Refused("full".into()); batch.len()]),
            Mood::Unroutable => Ok(vec![Confirm::Unroutable; batch.len()]),
            Mood::Well | Mood::Away => self.behind.publish(queue, batch).await,
        }
    }

    async fn consume(&self, queue: &str, group: &str, prefetch: u16) -> Result<Consumer> {
        self.reach()?;
        self.behind.consume(queue, group, prefetch).await
    }

    async fn depth(&self, queue: &str, group: &str) -> Result<Depth> {
        self.reach()?;
        self.behind.depth(queue, group).await
    }

    async fn purge(&self, queue: &str, group: &str) -> Result<u64> {
        self.reach()?;
        self.behind.purge(queue, group).await
    }

    async fn dead_letters(&self, queue: &str, group: &str, limit: usize) -> Result<Vec<DeadLetter>> {
        self.reach()?;
        self.behind.dead_letters(queue, group, limit).await
    }

    async fn check(&self) -> Result<String> {
        self.reach()?;
        self.behind.check().await
    }
}

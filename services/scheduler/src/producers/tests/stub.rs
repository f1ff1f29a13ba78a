//! A producer that fails, hangs or refuses as a test says, and publishing through several of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use paceline_core::ids::RunId;
use paceline_core::job::Range;
use paceline_core::ports::RangePublisher;
use paceline_core::ports::broker::Depth;
use paceline_core::trace::Sampling;
use paceline_core::{Error, Result};
use paceline_runtime::lifecycle::Shutdown;
use tokio::sync::Notify;

use crate::producers::admission::Ask;
use crate::producers::pool::Producers;
use crate::producers::pooled::PooledProducer;
use crate::producers::remote::{Ends, HealthCheck};

pub const WELL: u8 = 0;
pub const FAILS: u8 = 1;
pub const HANGS: u8 = 2;
/// It is there and is not let in by its broker, or does not let us in: what ranges are told, in that order.
pub const IS_REFUSED: u8 = 3;
pub const REFUSES: u8 = 4;
pub const KNOWS_NO_RUN: u8 = 5;
pub const QUEUE_IS_FULL: u8 = 6;

#[derive(Default)]
pub struct Stub {
    pub mode: AtomicU8,
    pub calls: AtomicU64,
}

#[async_trait]
impl RangePublisher for Stub {
    async fn publish(&self, _: &RunId, _: &Range, _: Sampling) -> Result<String> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        match self.mode.load(Ordering::Relaxed) {
            WELL => Ok("stub".into()),
            FAILS => Err(Error::unavailable("away")),
            IS_REFUSED => Err(Error::failed_precondition("RabbitMQ refuses user \"paul\"")),
            REFUSES => Err(Error::internal("the token is not the one that this server expects")),
            QUEUE_IS_FULL => Err(Error::resource_exhausted("queue default refused a job: it is full")),
            KNOWS_NO_RUN => Err(Error::not_found("run some-run is not in the ledger")),
            _ => std::future::pending().await,
        }
    }

    async fn depth(&self, _: &RunId) -> Result<Depth> {
        Ok(Depth::default())
    }
}

/// A stopped process says nothing; what asks it gives up after a while.
#[async_trait]
impl HealthCheck for Stub {
    async fn check(&self) -> Result<()> {
        if self.mode.load(Ordering::Relaxed) == HANGS {
            tokio::time::sleep(Duration::from_millis(800)).await;
            return Err(Error::unavailable("no answer to a health check"));
        }
        Ok(())
    }
}

pub fn stubs<const COUNT: usize>() -> (Producers, [Arc<Stub>; COUNT]) {
    let stubs: [Arc<Stub>; COUNT] = std::array::from_fn(|_| Arc::new(Stub::default()));
    let member = |stub: &Arc<Stub>| ("stub".to_owned(), stub.clone() as Arc<dyn RangePublisher>);
    (Producers::in_process(stubs.iter().map(member).collect()), stubs)
}

pub fn run() -> RunId {
    RunId::parse("some-run").unwrap()
}

pub async fn publish(producers: &Producers) -> Result<String> {
    producers
        .publish(&run(), &Range { first: 0, count: 1, scheduled_at_ms: 0 }, Ask::Range { bytes: 300 }, Sampling::NONE)
        .await
}

/// A producer that is asked for its health.
pub fn asked(name: &str, stub: &Arc<Stub>, changed: &Arc<Notify>) -> PooledProducer {
    PooledProducer::remote(name, Ends { publisher: stub.clone(), health: stub.clone() }, changed.clone())
}

/// The only producer, which is asked for its health.
pub fn only() -> (Producers, Arc<Stub>) {
    let (changed, only) = (Arc::new(Notify::new()), Arc::new(Stub::default()));
    (Producers::new(vec![asked("only", &only, &changed)], changed), only)
}

/// Two producers that are asked for their health.
pub fn checked() -> (Producers, Arc<Stub>, Shutdown) {
    let (changed, hung, well) = (Arc::new(Notify::new()), Arc::new(Stub::default()), Arc::new(Stub::default()));
    let members = vec![asked("hung", &hung, &changed), asked("well", &well, &changed)];
    (Producers::new(members, changed), hung, Shutdown::new())
}

/// On paused time a range that hangs for ever would otherwise be a test that does.
pub async fn in_time(story: impl Future<Output = ()>, probing: impl Future<Output = ()>) {
    let both = async { tokio::join!(story, probing) };
    tokio::time::timeout(Duration::from_secs(60), both).await.expect("no range hangs for ever");
}

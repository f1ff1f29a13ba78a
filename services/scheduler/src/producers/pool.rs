//! Hands a range to a producer that works and has room, and to another one when it fails there.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use paceline_core::error::codes;
use paceline_core::ids::RunId;
use paceline_core::job::Range;
use paceline_core::ports::RangePublisher;
use paceline_core::ports::broker::Depth;
use paceline_core::trace::Sampling;
use paceline_core::{Error, ErrorKind, Result};
use paceline_runtime::resolver::{Resolver, SystemResolver};
use tokio::sync::{Mutex, Notify};
use tokio::time::Instant;

use super::address::ProducerAddress;
use super::admission::{Ask, Turned, is_of_run_or_queue};
use super::entry::ProducerEntry;
use super::name::ProducerName;
use super::pooled::PooledProducer;
use super::remote::{Caller, Ends};
use super::turn::Turn;

/// The longest time that a range waits for a producer that may be tried, when none may: longer than the longest cool-down.
pub(super) const WAIT_MAX: Duration = Duration::from_secs(2);
/// Bytes that a job counts for in the windows where its size is not known.
const JOB_BYTES_USUAL: u64 = 512;

/// All members, as they are at one moment.
pub(super) type Members = Arc<[Arc<PooledProducer>]>;
/// Makes the two ends of a producer at an address.
pub(super) type Connect = dyn Fn(&ProducerAddress) -> Result<Ends> + Send + Sync;

pub struct Producers {
    pub(super) members: RwLock<Members>,
    /// Members whose addresses are gone, and may come back.
    pub(super) retired: std::sync::Mutex<Vec<Arc<PooledProducer>>>,
    /// Where the producers are; empty for producers in this process.
    pub(super) entries: Vec<ProducerEntry>,
    pub(super) connect: Box<Connect>,
    pub(super) resolver: Arc<dyn Resolver>,
    /// Members have come or gone.
    pub(super) moved: Notify,
    next: AtomicUsize,
    /// A breaker changed, or a window has room. Wakes in the order of waiting, so that the simulation replays.
    pub(super) changed: Arc<Notify>,
    /// The turn to look for room.
    turns: Mutex<()>,
}

impl Producers {
    /// One producer in this process.
    pub fn local(publisher: Arc<dyn RangePublisher>) -> Self {
        Self::in_process(vec![("this process".into(), publisher)])
    }

    /// Several, each with the name that logs call it by. Nobody asks them for their health.
    pub fn in_process(publishers: Vec<(String, Arc<dyn RangePublisher>)>) -> Self {
        let changed = Arc::new(Notify::new());
        let member = |(name, publisher): (String, _)| PooledProducer::local(&name, publisher, changed.clone());
        Self::new(publishers.into_iter().map(member).collect(), changed.clone())
    }

    /// Producers at `http://host:port`. They are connected to when first used, and names are looked up by [`Self::probe`].
    pub fn remote(addresses: &[String], caller: Caller) -> Result<Self> {
        Self::found_by(Arc::new(SystemResolver), addresses, caller)
    }

    /// Producers at `addresses`, whose names `resolver` looks up.
    pub fn found_by(resolver: Arc<dyn Resolver>, addresses: &[String], caller: Caller) -> Result<Self> {
        if addresses.is_empty() {
            return Err(Error::invalid_field(
                "producers",
                "at least one address is needed, e.g. http://127.0.0.1:50052",
            )
            .coded(codes::PRODUCERS_INVALID));
        }
        let entries = addresses.iter().map(|address| ProducerEntry::parse(address)).collect::<Result<_>>()?;
        Self::at(resolver, entries, Box::new(move |address: &ProducerAddress| caller.connect(address)))
    }

    pub(super) fn at(resolver: Arc<dyn Resolver>, entries: Vec<ProducerEntry>, connect: Box<Connect>) -> Result<Self> {
        let producers = Self { entries, connect, resolver, ..Self::new(Vec::new(), Arc::new(Notify::new())) };
        producers.follow_addresses()?;
        Ok(producers)
    }

    pub(super) fn new(members: Vec<PooledProducer>, changed: Arc<Notify>) -> Self {
        Self {
            members: RwLock::new(members.into_iter().map(Arc::new).collect()),
            retired: std::sync::Mutex::default(),
            entries: Vec::new(),
            connect: Box::new(|_| Err(Error::internal("producers in this process have no address"))),
            resolver: Arc::new(SystemResolver),
            moved: Notify::new(),
            next: AtomicUsize::new(0),
            changed,
            turns: Mutex::default(),
        }
    }

    pub(super) fn members(&self) -> Members {
        self.members.read().expect("no code panics while it holds the list of producers").clone()
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &Arc<ProducerName>> {
        self.entries.iter().filter_map(ProducerEntry::name)
    }

    /// Publishes `range`, as `what` says, at the next producer that works and has room. If a producer fails, the range goes to each of the
    /// others.
    ///
    /// `Err`: the last error, when all producers have failed. At once: `Unpublishable`, and `ResourceExhausted` of the range's queue,
    /// because every producer would answer the same.
    ///
    /// If no producer may be tried now, the range waits for the first that may be, for two seconds at most; a suspect range does not wait.
    /// If only room is missing, the range waits as long as it takes, because a full window empties in bounded time.
    pub(crate) async fn publish(&self, run: &RunId, range: &Range, what: Ask, sampling: Sampling) -> Result<String> {
        let (mut deadline, mut kept) = (None, None);
        loop {
            let turn = match kept.take() {
                Some(turn) => turn,
                None => Turn::new(self.turns.lock().await),
            };
            // Made before the look at the breakers, so that no change after the look is missed.
            let changed = self.changed.notified();
            let publish = |publisher: Arc<dyn RangePublisher>| {
                turn.end();
                async move { publisher.publish(run, range, sampling).await }
            };
            match self.first(what, publish).await {
                Ok(outcome) => return outcome,
                Err(Turned::Full) => {
                    deadline = None;
                    self.wait_for_room(changed).await;
                    kept = turn.keep();
                }
                Err(Turned::LeftOut) => {
                    turn.end();
                    let deadline = *deadline.get_or_insert_with(|| Instant::now() + WAIT_MAX);
                    if what == Ask::Suspect || Instant::now() >= deadline {
                        return Err(self.none_usable());
                    }
                    self.wait(changed, deadline).await;
                }
            }
        }
    }

    /// The depth of the run's queue, asked through a producer.
    pub async fn depth(&self, run: &RunId) -> Result<Depth> {
        let answer = self.first(Ask::Question, |publisher| async move { publisher.depth(run).await }).await;
        answer.unwrap_or_else(|_| Err(self.none_usable()))
    }

    /// The depth of a queue by its name, asked through a producer.
    pub async fn depth_of(&self, queue: &str, group: &str) -> Result<Depth> {
        let ask = |publisher: Arc<dyn RangePublisher>| async move {
            match publisher.depth_of(queue, group).await {
                // A producer of an older version knows runs alone. That is no failure of its own.
                Err(error) if error.kind == ErrorKind::InvalidArgument => Ok(Err(Error::unavailable(format!(
                    "a producer cannot look at queue {queue}, maybe because its version is older: {error}"
                ))
                .coded(codes::PRODUCER_TOO_OLD))),
                answer => answer.map(Ok),
            }
        };
        match self.first(Ask::Question, ask).await {
            Ok(answer) => answer.flatten(),
            Err(_) => Err(self.none_usable()),
        }
    }

    /// The answer of the first producer that gives one, or why no call was made: `Full` if a producer works.
    ///
    /// Every error but those of the run and of its queue is the producer's own: it may have lost its broker, its password or its ledger,
    /// and another may have not.
    async fn first<T, F>(&self, what: Ask, call: impl Fn(Arc<dyn RangePublisher>) -> F) -> Result<Result<T>, Turned>
    where
        F: Future<Output = Result<T>>,
    {
        let (start, members) = (self.next.fetch_add(1, Ordering::Relaxed), self.members());
        let mut last = Err(Turned::LeftOut);
        for step in 0..members.len() {
            let member = &members[start.wrapping_add(step) % members.len()];
            match member.call(what, &call).await {
                Ok(Err(error)) if !is_of_run_or_queue(&error) => last = Ok(Err(error)),
                Ok(decided) => return Ok(decided),
                Err(Turned::Full) if last.is_err() => last = Err(Turned::Full),
                Err(_) => (),
            }
        }
        last
    }

    /// Waits until something changes, or a cool-down is over: a producer that is left out needs a range to come back, however full the
    /// others are.
    async fn wait_for_room(&self, changed: impl Future<Output = ()>) {
        let cooled = async {
            match self.members().iter().filter_map(|member| member.cools_until()).min() {
                Some(until) => tokio::time::sleep_until(until).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = changed => (),
            () = cooled => (),
        }
    }

    /// Waits until a breaker changes or the first cool-down is over.
    async fn wait(&self, changed: impl Future<Output = ()>, deadline: Instant) {
        let opens_at = self.members().iter().filter_map(|member| member.opens_at()).min();
        let until = opens_at.map_or(deadline, |at| at.min(deadline));
        tokio::select! {
            biased;
            () = changed => (),
            () = tokio::time::sleep_until(until) => (),
        }
    }
}

/// All of them together are a publisher too.
#[async_trait]
impl RangePublisher for Producers {
    async fn publish(&self, run: &RunId, range: &Range, sampling: Sampling) -> Result<String> {
        self.publish(run, range, Ask::Range { bytes: range.count * JOB_BYTES_USUAL }, sampling).await
    }

    async fn depth(&self, run: &RunId) -> Result<Depth> {
        self.depth(run).await
    }

    async fn depth_of(&self, queue: &str, group: &str) -> Result<Depth> {
        self.depth_of(queue, group).await
    }
}

//! The producers that a scheduler knows: round robin over those that work, and the next one when one fails.
//!
//! Each [`member`](crate::member) has a [`breaker`](crate::breaker), which keeps ranges away from one that fails, a
//! [`window`](crate::window), which keeps what is on its way to it to what it confirms in about a second, and is asked for its health,
//! so that one that hangs loses the ranges on their way to it within two seconds. Members come and go with the addresses of the names
//! that [`discovery`](crate::discovery) follows; [`moving`] makes them.

mod moving;

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
use serde_json::{Value, json};
use tokio::sync::{Mutex, MutexGuard, Notify};
use tokio::time::Instant;

use crate::discovery::{Entry, Name, Place};
use crate::member::{Ask, Member, Turned, is_of_run_or_queue};
use crate::remote::{Caller, Health};

/// How long a range waits for a producer that may be tried, when none may: longer than the longest cool-down.
const WAIT_MAX: Duration = Duration::from_secs(2);
/// Bytes that a job counts for in the windows where its size is not known.
const JOB_BYTES_USUAL: u64 = 512;
/// An error says for so many producers why they do not work, each in so many characters.
const REASONS_MAX: usize = 3;
const REASON_CHARS_MAX: usize = 400;

/// All of them, as they are at one moment.
type Members = Arc<[Arc<Member>]>;
/// Makes the two ends of a producer at a place.
type Connect = dyn Fn(&Place) -> Result<(Arc<dyn RangePublisher>, Arc<dyn Health>)> + Send + Sync;

pub struct Producers {
    members: RwLock<Members>,
    /// Members whose addresses are gone, and may come back.
    retired: std::sync::Mutex<Vec<Arc<Member>>>,
    /// Where they are; empty for producers in this process.
    entries: Vec<Entry>,
    connect: Box<Connect>,
    resolver: Arc<dyn Resolver>,
    /// Members have come or gone.
    moved: Notify,
    next: AtomicUsize,
    /// A breaker changed, or a window has room. Wakes in the order of waiting, so that the simulation replays.
    changed: Arc<Notify>,
    /// Ranges look for room in turn: each look asks every producer, and there may be tens of thousands of ranges.
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
        let member = |(name, publisher): (String, _)| Member::new(&name, publisher, None, changed.clone());
        Self::new(publishers.into_iter().map(member).collect(), changed.clone())
    }

    /// Producers at `http://host:port`. They are connected to when first used, and names are looked up by [`Self::probe`].
    pub fn remote(addresses: &[String], caller: Caller) -> Result<Self> {
        Self::found_by(Arc::new(SystemResolver), addresses, caller)
    }

    /// The same with names that `resolver` knows.
    pub fn found_by(resolver: Arc<dyn Resolver>, addresses: &[String], caller: Caller) -> Result<Self> {
        if addresses.is_empty() {
            return Err(Error::invalid_field(
                "producers",
                "at least one address is needed, e.g. http://127.0.0.1:50052",
            )
            .coded(codes::PRODUCERS_INVALID));
        }
        let entries = addresses.iter().map(|address| Entry::parse(address)).collect::<Result<_>>()?;
        Self::at(resolver, entries, Box::new(move |place: &Place| caller.connect(place)))
    }

    fn at(resolver: Arc<dyn Resolver>, entries: Vec<Entry>, connect: Box<Connect>) -> Result<Self> {
        let producers = Self { entries, connect, resolver, ..Self::new(Vec::new(), Arc::new(Notify::new())) };
        producers.follow_places()?;
        Ok(producers)
    }

    fn new(members: Vec<Member>, changed: Arc<Notify>) -> Self {
        Self {
            members: RwLock::new(members.into_iter().map(Arc::new).collect()),
            retired: std::sync::Mutex::default(),
            entries: Vec::new(),
            connect: Box::new(|_| Err(Error::internal("producers in this process have no place"))),
            resolver: Arc::new(SystemResolver),
            moved: Notify::new(),
            next: AtomicUsize::new(0),
            changed,
            turns: Mutex::default(),
        }
    }

    fn members(&self) -> Members {
        self.members.read().expect("no code panics while it holds the list of producers").clone()
    }

    fn names(&self) -> impl Iterator<Item = &Arc<Name>> {
        self.entries.iter().filter_map(Entry::name)
    }

    /// Publishes `range`, as `what` says, at the next producer that works and has room, at each of the others when that fails. The last
    /// error, when all do; `Unpublishable`, and `ResourceExhausted` of its queue, at once, because none would say otherwise. Where none
    /// may be tried now it waits for the first that may, for two seconds at most, a suspect range not at all; for room it waits as long
    /// as it takes, because what fills a window is bounded in time.
    pub(crate) async fn publish(&self, run: &RunId, range: &Range, what: Ask, sampling: Sampling) -> Result<String> {
        let (mut deadline, mut kept) = (None, None);
        loop {
            let turn = match kept.take() {
                Some(turn) => turn,
                None => self.turns.lock().await,
            };
            let turn = Turn::new(Some(turn));
            // Made before the look at the breakers, so that no change after it is missed.
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

    /// What the broker says about the run's queue, asked through a producer.
    pub async fn depth(&self, run: &RunId) -> Result<Depth> {
        let answer = self.first(Ask::Question, |publisher| async move { publisher.depth(run).await }).await;
        answer.unwrap_or_else(|_| Err(self.none_usable()))
    }

    /// The broker's word about a queue by its name, asked through a producer.
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

    /// `Ok` if ranges can be published now; the error says for the first producers why not.
    pub fn check(&self) -> Result<()> {
        if self.members().iter().any(|member| member.condition().0) { Ok(()) } else { Err(self.none_usable()) }
    }

    /// (producers that ranges go to, all). A name whose addresses nobody knows yet counts as one that they do not go to.
    pub fn counts(&self) -> (usize, usize) {
        let members = self.members();
        let unknown = self.names().filter(|name| name.why_unknown().is_some()).count();
        (members.iter().filter(|member| member.condition().0).count(), members.len() + unknown)
    }

    /// For readiness: each producer, and why it is left out if it is.
    pub fn states(&self) -> Vec<Value> {
        let state = |member: &Arc<Member>| {
            let (is_usable, why) = member.condition();
            json!({ "producer": member.name, "ok": is_usable, "why": why })
        };
        self.members().iter().map(state).collect()
    }

    /// For readiness: each name, its addresses, and what is wrong with its lookups.
    pub fn name_states(&self) -> Vec<Value> {
        self.names().map(|name| name.state()).collect()
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

    /// Until something changes, or a cool-down is over: who is left out needs a range to come back, whoever else is full.
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

    /// Until a breaker changes or the first cool-down is over.
    async fn wait(&self, changed: impl Future<Output = ()>, deadline: Instant) {
        let opens_at = self.members().iter().filter_map(|member| member.opens_at()).min();
        let until = opens_at.map_or(deadline, |at| at.min(deadline));
        tokio::select! {
            biased;
            () = changed => (),
            () = tokio::time::sleep_until(until) => (),
        }
    }

    /// It is logged for each range, and travels in a header of gRPC, so it is short however many producers there are.
    fn none_usable(&self) -> Error {
        let unknown = self.names().filter_map(|name| Some(format!("{}: {}", name.address(), name.why_unknown()?)));
        let why = |member: &Arc<Member>| match member.condition() {
            (_, why) if why.is_empty() => format!("{}: it was not reached yet", member.name),
            (_, why) => format!("{}: {why}", member.name),
        };
        let members = self.members();
        let mut all = members.iter().map(why).chain(unknown);
        let mut said: Vec<_> = all.by_ref().take(REASONS_MAX).map(shortened).collect();
        match all.count() {
            0 => (),
            more => said.push(format!("and {more} more")),
        }
        Error::unavailable(format!("no producer works now ({})", said.join("; "))).coded(codes::NO_PRODUCER_WORKS)
    }
}

fn shortened(reason: String) -> String {
    match reason.char_indices().nth(REASON_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &reason[..end]),
        None => reason,
    }
}

/// The turn of one range to look for room; it ends when a producer takes the range.
struct Turn<'a>(std::sync::Mutex<Option<MutexGuard<'a, ()>>>);

impl<'a> Turn<'a> {
    fn new(turn: Option<MutexGuard<'a, ()>>) -> Self {
        Self(std::sync::Mutex::new(turn))
    }

    fn end(&self) {
        self.0.lock().expect("no code panics while it holds a turn").take();
    }

    fn keep(self) -> Option<MutexGuard<'a, ()>> {
        self.0.into_inner().expect("no code panics while it holds a turn")
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

#[cfg(test)]
#[path = "producers_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "producers_moving_tests.rs"]
mod moving_tests;

//! One queue of one group, in memory: a bounded window of ready messages, and the messages that each consumer holds.
//!
//! Consumers take turns. The window is filled straight from publishes while the window has room, and in pages from the file
//! after that, so memory does not grow with the backlog. A consumer gets entries by a channel; [`super::port`] makes
//! deliveries of them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use paceline_core::ports::broker::Message;
use tokio::sync::mpsc;

use super::store::{self, Stored};
use crate::embedded::database::Database;

/// The most ready messages in memory, and the size of a page from the file.
const WINDOW_MAX: usize = 4_096;
const PAGE: usize = 1_024;

pub struct MemoryQueue {
    pub number: i64,
    database: Database,
    state: Mutex<State>,
}

/// A message that is in memory; shared between the window, its holder and the delivery.
#[derive(Clone)]
pub struct Entry {
    pub id: i64,
    pub redeliveries: u32,
    pub message: Message,
}

struct State {
    /// The highest id that was given to a message.
    last_id: i64,
    /// Messages up to this id are in the window, held, or settled; those above are in the file only.
    loaded_up_to: i64,
    /// The number of messages above that. May dip below 0 between a page's reading and its publishes' accounting.
    unloaded: i64,
    is_loading: bool,
    window: VecDeque<Entry>,
    consumers: BTreeMap<u64, Holder>,
    next_consumer: u64,
    /// The consumer whose turn it is.
    turn: u64,
    /// Settled, to be deleted from the file.
    acked: Vec<i64>,
}

/// A consumer's side.
struct Holder {
    entries: mpsc::UnboundedSender<Entry>,
    prefetch: usize,
    held: BTreeMap<i64, Entry>,
}

impl MemoryQueue {
    /// A queue whose file, `database`, holds `ready` messages with ids up to `last_id`.
    pub fn new(database: Database, number: i64, (last_id, ready): (i64, i64)) -> Self {
        let state = State {
            last_id,
            loaded_up_to: 0,
            unloaded: ready,
            is_loading: false,
            window: VecDeque::new(),
            consumers: BTreeMap::new(),
            next_consumer: 0,
            turn: 0,
            acked: Vec::new(),
        };
        Self { number, database, state: Mutex::new(state) }
    }

    /// Ids for `count` messages that are about to be written.
    pub fn reserve_ids(&self, count: usize) -> i64 {
        let mut state = self.state();
        let first = state.last_id + 1;
        state.last_id += count as i64;
        first
    }

    /// Messages from `first_id` on are committed, called in the order of their ids.
    pub fn committed(self: &Arc<Self>, first_id: i64, messages: Vec<Message>) {
        let mut state = self.state();
        for (id, message) in (first_id..).zip(messages) {
            // A page may have brought it already; or the file is ahead of the window, and pages will.
            let fits =
                id > state.loaded_up_to && state.unloaded <= 0 && !state.is_loading && state.window.len() < WINDOW_MAX;
            if fits {
                state.loaded_up_to = id;
                state.window.push_back(Entry { id, redeliveries: 0, message });
            } else {
                state.unloaded += 1;
            }
        }
        self.hand_out(&mut state);
    }

    pub fn subscribe(self: &Arc<Self>, prefetch: u16) -> (u64, mpsc::UnboundedReceiver<Entry>) {
        // Bounded by the prefetch: an entry is sent only within the prefetch.
        let (entries, receiver) = mpsc::unbounded_channel();
        let mut state = self.state();
        let consumer = state.next_consumer;
        state.next_consumer += 1;
        state.consumers.insert(consumer, Holder { entries, prefetch: prefetch.into(), held: BTreeMap::new() });
        self.hand_out(&mut state);
        (consumer, receiver)
    }

    /// Ends a consumer; what it held is ready again, in front, and answers the ids.
    pub fn unsubscribe(self: &Arc<Self>, consumer: u64) -> Vec<i64> {
        let mut state = self.state();
        let Some(holder) = state.consumers.remove(&consumer) else { return Vec::new() };
        let returned: Vec<i64> = holder.held.keys().copied().collect();
        for mut entry in holder.held.into_values().rev() {
            entry.redeliveries += 1;
            state.window.push_front(entry);
        }
        self.hand_out(&mut state);
        returned
    }

    /// Takes a delivery from its consumer; `None` when the consumer is gone, so the delivery settles nothing.
    pub fn release(self: &Arc<Self>, consumer: u64, id: i64, how: Release) -> Option<Entry> {
        let mut state = self.state();
        let entry = state.consumers.get_mut(&consumer)?.held.remove(&id)?;
        match how {
            Release::Acked => state.acked.push(id),
            Release::GivenBack => state.window.push_front(entry.clone()),
            Release::Moved => (),
        }
        self.hand_out(&mut state);
        Some(entry)
    }

    pub fn holds(&self, consumer: u64, id: i64) -> bool {
        self.state().consumers.get(&consumer).is_some_and(|holder| holder.held.contains_key(&id))
    }

    /// Settled ids in order, to be deleted by the caller.
    pub fn take_acked(&self) -> Vec<i64> {
        let mut acked = std::mem::take(&mut self.state().acked);
        acked.sort_unstable();
        acked
    }

    /// Ids that could not be deleted; tried again with the next ones.
    pub fn put_back_acked(&self, ids: Vec<i64>) {
        self.state().acked.extend(ids);
    }

    /// Empties the window and forgets what is in the file only: the caller deletes both.
    pub fn forget_ready(&self) -> (Vec<i64>, i64) {
        let mut state = self.state();
        let mut ids: Vec<i64> = state.window.drain(..).map(|entry| entry.id).collect();
        ids.sort_unstable();
        let above = state.loaded_up_to;
        state.loaded_up_to = state.last_id;
        state.unloaded = 0;
        (ids, above)
    }

    /// (ready, unacked).
    pub fn counts(&self) -> (u64, u64) {
        let state = self.state();
        let held: usize = state.consumers.values().map(|holder| holder.held.len()).sum();
        let in_file = u64::try_from(state.unloaded).unwrap_or(0);
        (state.window.len() as u64 + in_file, held as u64)
    }

    /// Gives messages to consumers in turn, while there are messages and somebody may hold one more.
    fn hand_out(self: &Arc<Self>, state: &mut State) {
        while !state.window.is_empty() {
            let Some(consumer) = state.next_in_turn() else { break };
            let entry = state.window.pop_front().expect("the window is not empty");
            let holder = state.consumers.get_mut(&consumer).expect("it is its turn");
            holder.held.insert(entry.id, entry.clone());
            // A receiver that is being dropped gives everything back by `unsubscribe`.
            _ = holder.entries.send(entry);
        }
        let wants_more = state.window.len() < WINDOW_MAX - PAGE && state.unloaded > 0 && !state.consumers.is_empty();
        if wants_more && !std::mem::replace(&mut state.is_loading, true) {
            self.load(state.loaded_up_to);
        }
    }

    /// Reads the next page on the database's own thread and puts the page into the window there.
    fn load(self: &Arc<Self>, after: i64) {
        let (queue, number) = (self.clone(), self.number);
        let read = self.database.read_detached(
            move |connection| store::page(connection, number, after, PAGE),
            move |page| match page {
                Ok(page) => queue.loaded(after, page),
                Err(error) => {
                    tracing::error!(%error, "a page of messages cannot be read");
                    queue.state().is_loading = false;
                }
            },
        );
        if let Err(error) = read {
            tracing::error!(%error, "a page of messages cannot be read");
        }
    }

    fn loaded(self: &Arc<Self>, after: i64, page: Vec<Stored>) {
        let mut state = self.state();
        state.is_loading = false;
        // Somebody purged the queue meanwhile: the page is of the past.
        if state.loaded_up_to == after {
            state.unloaded -= page.len() as i64;
            state.loaded_up_to = page.last().map_or(after, |last| last.id);
            let entries =
                page.into_iter().map(|Stored { id, redeliveries, message }| Entry { id, redeliveries, message });
            state.window.extend(entries);
        }
        self.hand_out(&mut state);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no code panics while it holds a queue")
    }
}

/// The ways in which a delivery leaves its consumer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Release {
    Acked,
    GivenBack,
    /// Written into another table.
    Moved,
}

impl State {
    /// The next consumer, in turn, that may hold one more.
    fn next_in_turn(&mut self) -> Option<u64> {
        let from_turn = self.consumers.range(self.turn..).chain(self.consumers.range(..self.turn));
        let mut free =
            from_turn.filter(|(_, holder)| holder.held.len() < holder.prefetch && !holder.entries.is_closed());
        let consumer = *free.next()?.0;
        self.turn = consumer + 1;
        Some(consumer)
    }
}

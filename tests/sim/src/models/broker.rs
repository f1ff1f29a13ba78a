//! The broker as a state machine: queues of groups, consumers with their prefetch, and what each holds.
//!
//! A consumer is an epoch: what it held returns when it ends, and a settlement of a consumer that is gone settles nothing (L4).

use std::collections::{BTreeMap, VecDeque};

use paceline_core::ports::broker::{Confirm, DeadLetter, Depth, Message};
use paceline_core::{Error, Result};
use tokio::sync::mpsc;

/// A queue of a group.
pub type Name = (String, String);

#[derive(Default)]
pub struct BrokerModel {
    queues: BTreeMap<Name, Queue>,
    last_entry: u64,
    last_consumer: u64,
}

#[derive(Default)]
struct Queue {
    ready: VecDeque<Entry>,
    delayed: Vec<(u64, Entry)>,
    dead: Vec<DeadLetter>,
    consumers: BTreeMap<u64, Holder>,
    /// Whose turn it is.
    turn: u64,
}

/// A message in a queue.
#[derive(Debug, Clone)]
pub struct Entry {
    pub id: u64,
    pub redeliveries: u32,
    pub message: Message,
}

struct Holder {
    /// The process that consumes, by its number.
    process: usize,
    prefetch: usize,
    held: BTreeMap<u64, Entry>,
    handed: mpsc::UnboundedSender<Entry>,
}

/// The way in which a delivery is settled.
#[derive(Debug, Clone)]
pub enum How {
    Ack,
    GiveBack,
    Retry { message: Message, due_ms: u64 },
    Dead { message: Message, reason: String },
}

impl BrokerModel {
    pub fn declare(&mut self, queue: &str, group: &str) {
        self.queues.entry((queue.to_owned(), group.to_owned())).or_default();
    }

    /// Puts the message into every group's queue, at `place` from the end (0: last).
    pub fn publish(&mut self, queue: &str, message: &Message, place: usize) -> Confirm {
        let mut confirm = Confirm::Unroutable;
        for (_, target) in self.queues.iter_mut().filter(|((name, _), _)| name == queue) {
            self.last_entry += 1;
            let at = target.ready.len().saturating_sub(place);
            target.ready.insert(at, Entry { id: self.last_entry, redeliveries: 0, message: message.clone() });
            target.hand_out();
            confirm = Confirm::Confirmed;
        }
        confirm
    }

    pub fn consume(
        &mut self,
        name: &Name,
        prefetch: u16,
        process: usize,
    ) -> Result<(u64, mpsc::UnboundedReceiver<Entry>)> {
        self.last_consumer += 1;
        let number = self.last_consumer;
        let queue = self.queue(name)?;
        // Bounded by the prefetch.
        let (handed, receiver) = mpsc::unbounded_channel();
        queue.consumers.insert(number, Holder { process, prefetch: prefetch.into(), held: BTreeMap::new(), handed });
        queue.hand_out();
        Ok((number, receiver))
    }

    /// All messages and all consumers are gone; the queues too, unless they are made again at once. How many jobs that were.
    pub fn lose_queues(&mut self, are_made_again: bool) -> usize {
        let lost = std::mem::take(&mut self.queues);
        let in_hands = |queue: &Queue| queue.consumers.values().map(|holder| holder.held.len()).sum::<usize>();
        let jobs = lost.values().map(|queue| queue.ready.len() + queue.delayed.len() + in_hands(queue)).sum();
        if are_made_again {
            self.queues = lost.into_keys().map(|name| (name, Queue::default())).collect();
        }
        jobs
    }

    /// Ends a consumer; what it held is ready again, in front.
    pub fn end_consumer(&mut self, name: &Name, consumer: u64) -> bool {
        let Some(queue) = self.queues.get_mut(name) else { return false };
        let Some(holder) = queue.consumers.remove(&consumer) else { return false };
        for mut entry in holder.held.into_values().rev() {
            entry.redeliveries += 1;
            queue.ready.push_front(entry);
        }
        queue.hand_out();
        true
    }

    /// The consumers of a process, or of all.
    pub fn consumers(&self, process: Option<usize>) -> Vec<(Name, u64)> {
        let mut found = Vec::new();
        for (name, queue) in &self.queues {
            let of_process =
                queue.consumers.iter().filter(|(_, holder)| process.is_none_or(|one| one == holder.process));
            found.extend(of_process.map(|(consumer, _)| (name.clone(), *consumer)));
        }
        found
    }

    /// The message that a live consumer holds under this number.
    pub fn held(&self, name: &Name, consumer: u64, entry: u64) -> Option<&Entry> {
        self.queues.get(name)?.consumers.get(&consumer)?.held.get(&entry)
    }

    /// Settles a delivery. False if the consumer of the delivery is gone.
    pub fn settle(&mut self, name: &Name, consumer: u64, entry: u64, how: How) -> bool {
        let Some(queue) = self.queues.get_mut(name) else { return false };
        let Some(holder) = queue.consumers.get_mut(&consumer) else { return false };
        let Some(found) = holder.held.remove(&entry) else { return false };
        match how {
            How::Ack => (),
            How::GiveBack => queue.ready.push_front(found),
            How::Dead { message, reason } => queue.dead.push(DeadLetter { message, reason }),
            How::Retry { message, due_ms } => {
                self.last_entry += 1;
                queue.delayed.push((due_ms, Entry { id: self.last_entry, redeliveries: 0, message }));
            }
        }
        queue.hand_out();
        true
    }

    /// Brings back what is due.
    pub fn bring_back(&mut self, now_ms: u64) {
        for queue in self.queues.values_mut() {
            let (due, waiting) =
                std::mem::take(&mut queue.delayed).into_iter().partition(|(due_ms, _)| *due_ms <= now_ms);
            queue.delayed = waiting;
            let due: Vec<(u64, Entry)> = due;
            queue.ready.extend(due.into_iter().map(|(_, entry)| entry));
            queue.hand_out();
        }
    }

    pub fn depth(&self, name: &Name) -> Result<Depth> {
        let queue = self.queues.get(name).ok_or_else(|| undeclared(name))?;
        let held: usize = queue.consumers.values().map(|holder| holder.held.len()).sum();
        Ok(Depth {
            ready: queue.ready.len() as u64,
            unacked: Some(held as u64),
            delayed: queue.delayed.len() as u64,
            dead: queue.dead.len() as u64,
        })
    }

    /// Nothing is ready, held or delayed anywhere.
    pub fn is_idle(&self) -> bool {
        self.depths().iter().all(|depth| depth.ready == 0 && depth.unacked == Some(0) && depth.delayed == 0)
    }

    pub fn depths(&self) -> Vec<Depth> {
        self.queues.keys().filter_map(|name| self.depth(name).ok()).collect()
    }

    pub fn purge(&mut self, name: &Name) -> Result<u64> {
        let queue = self.queue(name)?;
        Ok(queue.ready.drain(..).count() as u64)
    }

    pub fn dead_letters(&self, name: &Name, limit: usize) -> Result<Vec<DeadLetter>> {
        let queue = self.queues.get(name).ok_or_else(|| undeclared(name))?;
        Ok(queue.dead.iter().take(limit).cloned().collect())
    }

    fn queue(&mut self, name: &Name) -> Result<&mut Queue> {
        self.queues.get_mut(name).ok_or_else(|| undeclared(name))
    }
}

impl Queue {
    /// Gives messages to consumers in turn, while somebody may hold one more.
    fn hand_out(&mut self) {
        while !self.ready.is_empty() {
            let from_turn = self.consumers.range(self.turn..).chain(self.consumers.range(..self.turn));
            let free = from_turn
                .filter(|(_, holder)| holder.held.len() < holder.prefetch && !holder.handed.is_closed())
                .map(|(number, _)| *number)
                .next();
            let Some(consumer) = free else { return };
            self.turn = consumer + 1;
            let entry = self.ready.pop_front().expect("there is one");
            let holder = self.consumers.get_mut(&consumer).expect("it is its turn");
            holder.held.insert(entry.id, entry.clone());
            _ = holder.handed.send(entry);
        }
    }
}

fn undeclared((queue, group): &Name) -> Error {
    Error::not_found(format!("queue {queue:?} of group {group:?} is not declared"))
}

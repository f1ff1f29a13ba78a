//! Orders the consumers of a queue, so that the broker fills the first ones first.
//!
//! A worker has many consumers, so that together they hold enough for large requests to the sink. If all were equal, the broker would
//! give each job of a short queue to another channel, and pay a write and an ack for it. So consumers have priorities, a few of them on
//! each level: the broker gives a level work only while the ones above it are full. A short queue keeps to the first few channels, a
//! long one fills all. Workers have the same levels, so they share the work of each level evenly.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use super::lock::locked;

/// Consumers on a level. The broker looks through its levels one by one, so there are few.
pub const LEVEL: usize = 16;

/// The places of the consumers of a connection, for each queue. A place that is free again is taken before any behind it.
#[derive(Debug, Clone, Default)]
pub struct Places(Arc<Mutex<BTreeMap<String, BTreeSet<usize>>>>);

/// A consumer's place among those of its queue, until it is dropped.
#[derive(Debug)]
pub struct ConsumerRank {
    places: Places,
    queue: String,
    number: usize,
}

impl Places {
    pub fn take(&self, queue: &str) -> ConsumerRank {
        let mut queues = locked(&self.0);
        let taken = queues.entry(queue.to_owned()).or_default();
        let number = (0..).find(|number| !taken.contains(number)).expect("a set that is not endless");
        taken.insert(number);
        ConsumerRank { places: self.clone(), queue: queue.to_owned(), number }
    }
}

impl ConsumerRank {
    /// The consumer's `x-priority`: 0, which is RabbitMQ's default, for the first level, and one less for each behind it.
    pub fn priority(&self) -> i32 {
        -i32::try_from(self.number / LEVEL).unwrap_or(i32::MAX)
    }
}

impl Drop for ConsumerRank {
    fn drop(&mut self) {
        let mut queues = locked(&self.places.0);
        if let Some(taken) = queues.get_mut(&self.queue) {
            taken.remove(&self.number);
            if taken.is_empty() {
                queues.remove(&self.queue);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_queue_fills_its_first_level_first() {
        let places = Places::default();
        let taken: Vec<ConsumerRank> = (0..2 * LEVEL + 1).map(|_| places.take("a")).collect();
        let priorities: Vec<i32> = taken.iter().map(ConsumerRank::priority).collect();
        assert_eq!(priorities, [vec![0; LEVEL], vec![-1; LEVEL], vec![-2]].concat());
        assert_eq!(places.take("b").priority(), 0);
    }

    #[test]
    fn a_place_that_is_free_again_is_taken_first_and_nothing_is_left() {
        let places = Places::default();
        let mut taken: Vec<ConsumerRank> = (0..3 * LEVEL).map(|_| places.take("a")).collect();
        drop(taken.remove(2));
        taken.push(places.take("a"));
        assert_eq!(taken.last().map(|place| place.number), Some(2));
        taken.clear();
        assert!(locked(&places.0).is_empty());
    }
}

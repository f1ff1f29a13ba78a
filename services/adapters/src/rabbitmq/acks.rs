//! The unsettled deliveries of a channel, and the acks that settle the others in the fewest frames. Pure.
//!
//! Everything up to the first unsettled delivery goes into one cumulative ack. What is settled behind it is acknowledged one by
//! one when there is enough of it, or when it has waited: so a slow job does not hold back its neighbours, and jobs that only
//! end in another order cost no ack of their own. Memory is bounded by the prefetch: a delivery leaves when its ack is taken.

use std::collections::VecDeque;

#[derive(Debug, Default)]
pub struct Acks {
    /// Deliveries in the order of their tags.
    slots: VecDeque<Slot>,
    /// The number of slots that are settled.
    settled: usize,
}

#[derive(Debug)]
struct Slot {
    tag: u64,
    settled: bool,
}

impl Acks {
    /// The broker handed out `tag`; tags of a channel only grow.
    pub fn delivered(&mut self, tag: u64) {
        debug_assert!(self.slots.back().is_none_or(|last| last.tag < tag));
        self.slots.push_back(Slot { tag, settled: false });
    }

    /// Marks `tag` for an ack. False if there is nothing to settle.
    pub fn settle(&mut self, tag: u64) -> bool {
        let Some(slot) = self.find(tag).map(|index| &mut self.slots[index]).filter(|slot| !slot.settled) else {
            return false;
        };
        slot.settled = true;
        self.settled += 1;
        true
    }

    /// Takes out `tag`, which is settled in another way. False if there is nothing to settle.
    pub fn forget(&mut self, tag: u64) -> bool {
        let Some(index) = self.find(tag).filter(|index| !self.slots[*index].settled) else { return false };
        self.slots.remove(index);
        true
    }

    /// Forgets everything: no delivery of this channel can be settled any more.
    pub fn clear(&mut self) {
        self.slots.clear();
        self.settled = 0;
    }

    /// The number of deliveries that are settled and not taken.
    pub fn settled(&self) -> usize {
        self.settled
    }

    /// Calls `ack(tag, multiple)` for what became settled, in an order that the broker takes. What is settled behind an unsettled
    /// one stays while there are fewer of it than `singles_min`.
    pub fn take(&mut self, singles_min: usize, mut ack: impl FnMut(u64, bool)) {
        let mut last = None;
        while self.settled > 0 && self.slots.front().is_some_and(|slot| slot.settled) {
            last = self.slots.pop_front();
            self.settled -= 1;
        }
        if let Some(slot) = last {
            ack(slot.tag, true);
        }
        if self.settled > 0 && self.settled >= singles_min {
            self.settled = 0;
            self.slots.retain(|slot| {
                if slot.settled {
                    ack(slot.tag, false);
                }
                !slot.settled
            });
        }
    }

    fn find(&self, tag: u64) -> Option<usize> {
        // Most often nothing is missing between the first and `tag`.
        let first = self.slots.front()?.tag;
        let guess = usize::try_from(tag.checked_sub(first)?).ok()?;
        match self.slots.get(guess) {
            Some(slot) if slot.tag == tag => Some(guess),
            _ => self.slots.binary_search_by_key(&tag, |slot| slot.tag).ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivered(tags: std::ops::RangeInclusive<u64>) -> Acks {
        let mut acks = Acks::default();
        tags.for_each(|tag| acks.delivered(tag));
        acks
    }

    fn taken(acks: &mut Acks) -> Vec<(u64, bool)> {
        let mut taken = Vec::new();
        acks.take(1, |tag, multiple| taken.push((tag, multiple)));
        taken
    }

    #[test]
    fn what_has_no_gap_below_it_is_one_ack() {
        let mut acks = delivered(1..=5);
        for tag in [3, 1, 2] {
            assert!(acks.settle(tag));
        }
        assert_eq!(taken(&mut acks), [(3, true)]);
        assert_eq!(taken(&mut acks), []);
        assert!(acks.settle(5) && acks.settle(4));
        assert_eq!(taken(&mut acks), [(5, true)]);
    }

    #[test]
    fn a_slow_first_one_lets_its_neighbours_go_one_by_one() {
        let mut acks = delivered(1..=5);
        assert!(acks.settle(2) && acks.settle(4));
        assert_eq!(taken(&mut acks), [(2, false), (4, false)]);
        acks.delivered(6);
        assert!(acks.settle(1) && acks.settle(3) && acks.settle(6));
        // The cumulative tag is one that is still unacknowledged: 2 and 4 went before.
        assert_eq!(taken(&mut acks), [(3, true), (6, false)]);
        assert!(acks.settle(5));
        assert_eq!(taken(&mut acks), [(5, true)]);
    }

    #[test]
    fn what_ends_out_of_order_waits_for_the_gap_to_close_unless_there_is_too_much_of_it() {
        let mut acks = delivered(1..=9);
        let mut taken = Vec::new();
        assert!(acks.settle(1) && acks.settle(3) && acks.settle(4));
        acks.take(3, |tag, multiple| taken.push((tag, multiple)));
        assert!(acks.settle(2));
        acks.take(3, |tag, multiple| taken.push((tag, multiple)));
        assert_eq!((taken.as_slice(), acks.settled()), ([(1, true), (4, true)].as_slice(), 0));
        taken.clear();
        assert!(acks.settle(6) && acks.settle(7) && acks.settle(9));
        acks.take(3, |tag, multiple| taken.push((tag, multiple)));
        assert_eq!(taken, [(6, false), (7, false), (9, false)]);
    }

    #[test]
    fn a_delivery_settles_once() {
        let mut acks = delivered(1..=3);
        assert!(acks.settle(1) && !acks.settle(1) && !acks.forget(1));
        assert!(acks.forget(2) && !acks.settle(2) && !acks.forget(2));
        assert!(!acks.settle(9) && !acks.settle(0));
        assert_eq!(taken(&mut acks), [(1, true)]);
        assert!(!acks.settle(1) && acks.settle(3));
        acks.clear();
        assert_eq!(taken(&mut acks), []);
    }

    #[test]
    fn memory_is_bounded_by_what_is_unsettled_however_long_the_first_takes() {
        let mut acks = delivered(1..=1);
        for tag in 2..10_000 {
            acks.delivered(tag);
            assert!(acks.settle(tag));
            acks.take(1, |_, _| ());
            assert_eq!(acks.slots.len(), 1);
        }
        assert!(acks.settle(1));
        assert_eq!(taken(&mut acks), [(1, true)]);
    }
}

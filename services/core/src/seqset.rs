//! A set of seqs as a bitmap: the jobs that the ledger has counted, and the sets that `verify` compares. 10 million jobs take 1.25 MB.

/// A set of sequence numbers, dense from 0. Equality compares members, whatever the capacity.
#[derive(Debug, Clone, Default)]
pub struct SeqSet {
    words: Vec<u64>,
}

impl SeqSet {
    /// All of `0..end`.
    pub fn up_to(end: u64) -> Self {
        let mut set = Self::default();
        let full_words = usize::try_from(end / 64).expect("a run's total is bounded");
        set.words = vec![u64::MAX; full_words];
        if !end.is_multiple_of(64) {
            set.words.push((1 << (end % 64)) - 1);
        }
        set
    }

    /// Adds the seqs whose bits are set in `bytes`, in the order of Redis bitmaps: bit 7 of byte 0 is seq 0. `offset` is the seq of the
    /// first bit, a multiple of 8.
    pub fn insert_msb_bytes(&mut self, offset: u64, bytes: &[u8]) {
        for (index, byte) in bytes.iter().enumerate().filter(|(_, byte)| **byte != 0) {
            let base = offset + 8 * index as u64;
            (0..8).filter(|bit| byte & (0x80 >> bit) != 0).for_each(|bit| {
                self.insert(base + bit);
            });
        }
    }

    /// True if `seq` was not in the set before.
    pub fn insert(&mut self, seq: u64) -> bool {
        let (word, bit) = Self::place(seq);
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        let was_absent = self.words[word] & bit == 0;
        self.words[word] |= bit;
        was_absent
    }

    pub fn contains(&self, seq: u64) -> bool {
        let (word, bit) = Self::place(seq);
        self.words.get(word).is_some_and(|w| w & bit != 0)
    }

    pub fn len(&self) -> u64 {
        self.words.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    /// In ascending order.
    pub fn iter(&self) -> impl Iterator<Item = u64> + '_ {
        self.words.iter().enumerate().flat_map(|(index, word)| {
            (0..64).filter(move |bit| word & (1 << bit) != 0).map(move |bit| index as u64 * 64 + bit)
        })
    }

    /// The first member at or after `seq`.
    pub fn next_from(&self, seq: u64) -> Option<u64> {
        let first_word = usize::try_from(seq / 64).ok()?;
        let mask = u64::MAX << (seq % 64);
        let masked = self.words.iter().enumerate().skip(first_word).map(|(index, word)| {
            let word = if index == first_word { word & mask } else { *word };
            (index, word)
        });
        let (index, word) = masked.into_iter().find(|(_, word)| *word != 0)?;
        Some(index as u64 * 64 + u64::from(word.trailing_zeros()))
    }

    /// Stretches of members that follow each other, as (first, count), each of at most `count_max`; in ascending order.
    pub fn stretches(&self, count_max: u64) -> impl Iterator<Item = (u64, u64)> + '_ {
        let mut next = 0;
        std::iter::from_fn(move || {
            let first = self.next_from(next)?;
            let count = (1..count_max).take_while(|more| self.contains(first + more)).count() as u64 + 1;
            next = first + count;
            Some((first, count))
        })
    }

    pub fn remove(&mut self, seq: u64) {
        let (word, bit) = Self::place(seq);
        if let Some(word) = self.words.get_mut(word) {
            *word &= !bit;
        }
    }

    /// Members of `self` that are not in `other`.
    pub fn minus(&self, other: &Self) -> Self {
        self.zip(other, |mine, theirs| mine & !theirs)
    }

    pub fn union(&self, other: &Self) -> Self {
        let (longer, shorter) = if self.words.len() >= other.words.len() { (self, other) } else { (other, self) };
        longer.zip(shorter, |a, b| a | b)
    }

    pub fn intersection(&self, other: &Self) -> Self {
        self.zip(other, |a, b| a & b)
    }

    fn zip(&self, other: &Self, combine: impl Fn(u64, u64) -> u64) -> Self {
        let theirs = other.words.iter().copied().chain(std::iter::repeat(0));
        Self { words: self.words.iter().zip(theirs).map(|(mine, theirs)| combine(*mine, theirs)).collect() }
    }

    fn place(seq: u64) -> (usize, u64) {
        (usize::try_from(seq / 64).expect("a run's total is bounded"), 1 << (seq % 64))
    }
}

impl PartialEq for SeqSet {
    fn eq(&self, other: &Self) -> bool {
        self.minus(other).is_empty() && other.minus(self).is_empty()
    }
}

impl FromIterator<u64> for SeqSet {
    fn from_iter<I: IntoIterator<Item = u64>>(seqs: I) -> Self {
        let mut set = Self::default();
        seqs.into_iter().for_each(|seq| {
            set.insert(seq);
        });
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn behaves_like_a_set(a in prop::collection::btree_set(0u64..500, 0..80), b in prop::collection::btree_set(0u64..900, 0..80)) {
            let (x, y): (SeqSet, SeqSet) = (a.iter().copied().collect(), b.iter().copied().collect());
            prop_assert_eq!(x.iter().collect::<BTreeSet<_>>(), a.clone());
            prop_assert_eq!(x.len(), a.len() as u64);
            prop_assert_eq!(x.minus(&y).iter().collect::<BTreeSet<_>>(), &a - &b);
            prop_assert_eq!(x.union(&y).iter().collect::<BTreeSet<_>>(), &a | &b);
            prop_assert_eq!(x.intersection(&y).iter().collect::<BTreeSet<_>>(), &a & &b);
            prop_assert_eq!(x == y, a == b);
        }

        #[test]
        fn stretches_are_the_members_in_order(a in prop::collection::btree_set(0u64..300, 0..120), max in 1u64..20) {
            let set: SeqSet = a.iter().copied().collect();
            let stretches: Vec<_> = set.stretches(max).collect();
            prop_assert!(stretches.iter().all(|(_, count)| (1..=max).contains(count)));
            let members: Vec<u64> = stretches.iter().flat_map(|(first, count)| *first..first + count).collect();
            prop_assert_eq!(members, a.iter().copied().collect::<Vec<_>>());
            for seq in 0..310 {
                prop_assert_eq!(set.next_from(seq), a.range(seq..).next().copied());
            }
        }

        #[test]
        fn up_to_holds_exactly_its_range(end in 0u64..300) {
            prop_assert_eq!(SeqSet::up_to(end), (0..end).collect());
        }
    }

    #[test]
    fn reads_bitmaps_with_the_most_significant_bit_first() {
        let mut set = SeqSet::default();
        set.insert_msb_bytes(16, &[0b1000_0001, 0, 0b0100_0000]);
        assert_eq!(set.iter().collect::<Vec<_>>(), [16, 23, 33]);
    }
}

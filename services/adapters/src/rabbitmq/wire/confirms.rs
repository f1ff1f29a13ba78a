//! Matches the broker's confirms to the batches that wait for them. Pure but for the answer it sends.

use std::collections::VecDeque;

use tokio::sync::oneshot;

/// What went wrong with a message; of the others there is nothing to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exception {
    /// No queue takes it.
    Returned,
    /// The broker refused it.
    Nacked,
}

/// The exceptions of a batch, with the index of each message.
pub type Answer = Vec<(usize, Exception)>;

#[derive(Debug)]
pub struct Confirms {
    next_tag: u64,
    /// In the order of their tags.
    waiting: VecDeque<Batch>,
}

#[derive(Debug)]
struct Batch {
    first: u64,
    count: u64,
    /// One bit a message.
    decided: Vec<u64>,
    undecided: u64,
    exceptions: Answer,
    /// Gone once it is given.
    answer: Option<oneshot::Sender<Answer>>,
}

impl Default for Confirms {
    fn default() -> Self {
        Self { next_tag: 1, waiting: VecDeque::new() }
    }
}

impl Confirms {
    /// `count` messages are about to be published. Answers the tag of the first; the answer comes when all are decided.
    pub fn expect(&mut self, count: u64) -> (u64, oneshot::Receiver<Answer>) {
        debug_assert!(count > 0);
        let (answer, receiver) = oneshot::channel();
        let first = self.next_tag;
        self.next_tag += count;
        let words = usize::try_from(count.div_ceil(64)).expect("a batch fits into memory");
        let batch = Batch {
            first,
            count,
            decided: vec![0; words],
            undecided: count,
            exceptions: Vec::new(),
            answer: Some(answer),
        };
        self.waiting.push_back(batch);
        (first, receiver)
    }

    /// The broker returned `tag`; its ack is still to come.
    pub fn returned(&mut self, tag: u64) {
        if let Some(batch) = self.find(tag) {
            let index = batch.index(tag);
            batch.exceptions.push((index, Exception::Returned));
        }
    }

    /// The broker decided on `tag`, or on everything up to it.
    pub fn decide(&mut self, tag: u64, multiple: bool, nacked: bool) {
        if multiple {
            for batch in self.waiting.iter_mut().take_while(|batch| batch.first <= tag) {
                let end = (tag + 1).min(batch.first + batch.count);
                batch.decide(batch.first..end, nacked);
            }
        } else if let Some(batch) = self.find(tag) {
            batch.decide(tag..tag + 1, nacked);
        }
        while self.waiting.front().is_some_and(|batch| batch.undecided == 0) {
            self.waiting.pop_front();
        }
    }

    /// Nothing will be decided any more: those who wait see their answer's sender gone.
    pub fn clear(&mut self) {
        self.waiting.clear();
    }

    fn find(&mut self, tag: u64) -> Option<&mut Batch> {
        let index = self.waiting.partition_point(|batch| batch.first + batch.count <= tag);
        self.waiting.get_mut(index).filter(|batch| batch.first <= tag)
    }
}

impl Batch {
    fn index(&self, tag: u64) -> usize {
        usize::try_from(tag - self.first).expect("a batch fits into memory")
    }

    fn decide(&mut self, tags: std::ops::Range<u64>, nacked: bool) {
        let is_whole = tags.end - tags.start == self.count && self.undecided == self.count;
        if is_whole && !nacked {
            self.undecided = 0;
        } else {
            tags.for_each(|tag| self.decide_one(tag, nacked));
        }
        if self.undecided == 0
            && let Some(answer) = self.answer.take()
        {
            // The publisher may have given up waiting.
            _ = answer.send(std::mem::take(&mut self.exceptions));
        }
    }

    fn decide_one(&mut self, tag: u64, nacked: bool) {
        let index = self.index(tag);
        let (word, bit) = (index / 64, 1 << (index % 64));
        if self.decided[word] & bit != 0 {
            return;
        }
        self.decided[word] |= bit;
        self.undecided -= 1;
        if nacked {
            self.exceptions.push((index, Exception::Nacked));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_answered_when_its_last_message_is_decided() {
        let mut confirms = Confirms::default();
        let (first, mut a) = confirms.expect(3);
        let (second, mut b) = confirms.expect(100);
        assert_eq!((first, second), (1, 4));
        confirms.decide(50, false, false);
        confirms.decide(2, true, false);
        assert!(a.try_recv().is_err());
        confirms.decide(60, true, false);
        assert_eq!(a.try_recv(), Ok(vec![]));
        assert!(b.try_recv().is_err());
        confirms.decide(103, true, false);
        assert_eq!(b.try_recv(), Ok(vec![]));
        assert!(confirms.waiting.is_empty());
    }

    #[test]
    fn exceptions_name_their_message() {
        let mut confirms = Confirms::default();
        let (_, mut a) = confirms.expect(2);
        let (_, mut b) = confirms.expect(70);
        confirms.returned(4);
        confirms.decide(4, true, false);
        confirms.decide(70, false, true);
        confirms.decide(70, false, true);
        confirms.decide(72, true, false);
        assert_eq!(a.try_recv(), Ok(vec![]));
        assert_eq!(b.try_recv(), Ok(vec![(1, Exception::Returned), (67, Exception::Nacked)]));
    }

    #[test]
    fn a_later_batch_may_be_decided_first_and_unknown_tags_change_nothing() {
        let mut confirms = Confirms::default();
        let (_, mut a) = confirms.expect(1);
        let (_, mut b) = confirms.expect(1);
        confirms.decide(2, false, false);
        confirms.decide(99, false, true);
        confirms.returned(99);
        assert_eq!(b.try_recv(), Ok(vec![]));
        confirms.decide(1, false, true);
        assert_eq!(a.try_recv(), Ok(vec![(0, Exception::Nacked)]));
        confirms.decide(2, true, true);
        let (tag, c) = confirms.expect(1);
        assert_eq!(tag, 3);
        confirms.clear();
        assert!(c.blocking_recv().is_err());
    }
}

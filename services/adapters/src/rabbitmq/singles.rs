//! Messages that are published alone, as retries and dead letters are: whoever gets a channel takes along all that wait for one, so
//! a thousand of them cost a few round trips and not a thousand. And how many chunks a target may have on their way, alone or not.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use paceline_core::ports::broker::{Confirm, Message};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::chunk::{BYTES_MAX, Decided, MESSAGES_MAX};
use super::lock::locked;
use super::message::Target;

/// The most chunks to one target that are on their way at once: a queue that confirms nothing leaves the other channels to the others.
/// After a chunk that expired it is one fewer, down to one, until the target confirms a chunk again.
pub const CHUNKS_MAX: usize = 6;

/// The targets that somebody publishes to, or that have not confirmed all yet.
#[derive(Default)]
pub struct Singles(Mutex<HashMap<(String, String), Arc<Waiting>>>);

/// The messages that wait to go to one target.
pub struct Waiting {
    exchange: String,
    routing_key: String,
    /// Messages in the order in which they came. Each belongs to a publisher that waits, so there are no more of them than held jobs.
    messages: Mutex<VecDeque<(Single, Answer)>>,
    /// One permit for each chunk that may be sent now.
    permits: Arc<Semaphore>,
    /// Permits that expired chunks have taken away.
    withheld: AtomicUsize,
}

/// Leave to send one chunk to a target, until it is dropped.
pub struct Leave {
    waiting: Arc<Waiting>,
    permit: OwnedSemaphorePermit,
}

pub struct Single {
    reason: Option<String>,
    message: Message,
}

/// The sender to the publisher that waits. Dropped, it says that the epoch has ended.
pub type Answer = oneshot::Sender<Decided<Confirm>>;

impl Singles {
    pub fn to(&self, target: Target<'_>) -> Arc<Waiting> {
        let mut all = locked(&self.0);
        let key = (target.exchange.to_owned(), target.routing_key.to_owned());
        if let Some(waiting) = all.get(&key) {
            return waiting.clone();
        }
        // In use by a publisher, or by a chunk that may have outlived all of its publishers; or known to be slow.
        all.retain(|_, waiting| Arc::strong_count(waiting) > 1 || waiting.withheld.load(Ordering::Relaxed) > 0);
        let waiting = Arc::new(Waiting {
            exchange: key.0.clone(),
            routing_key: key.1.clone(),
            messages: Mutex::default(),
            permits: Arc::new(Semaphore::new(CHUNKS_MAX)),
            withheld: AtomicUsize::new(0),
        });
        all.insert(key, waiting.clone());
        waiting
    }
}

// === impl Waiting ===

impl Waiting {
    pub fn add(&self, reason: Option<&str>, message: &Message) -> oneshot::Receiver<Decided<Confirm>> {
        let (answer, receiver) = oneshot::channel();
        let single = Single { reason: reason.map(str::to_owned), message: message.clone() };
        let mut messages = locked(&self.messages);
        // While nothing is confirmed nothing is taken, and what publishers have given up must not pile up.
        while messages.front().is_some_and(|(_, answer)| answer.is_closed()) {
            messages.pop_front();
        }
        messages.push_back((single, answer));
        receiver
    }

    /// Leave to send a chunk. Publishers get it in the order in which they ask, and each asks until its own message is answered: so none
    /// waits without somebody who will send it.
    pub async fn leave(self: &Arc<Self>) -> Leave {
        let permit = self.permits.clone().acquire_owned().await.expect("the semaphore is never closed");
        Leave { waiting: self.clone(), permit }
    }

    /// The oldest, as many as a chunk takes, without those whose publisher has given up. Empty only if none is left.
    pub fn take(&self) -> (Vec<Single>, Vec<Answer>) {
        let mut messages = locked(&self.messages);
        let (mut taken, mut bytes) = (Vec::new(), 0);
        while let Some((single, answer)) = messages.pop_front() {
            if answer.is_closed() {
                continue;
            }
            bytes += single.message.body.len();
            let fits = taken.len() < MESSAGES_MAX && bytes <= BYTES_MAX;
            if !fits && !taken.is_empty() {
                messages.push_front((single, answer));
                break;
            }
            taken.push((single, answer));
        }
        taken.into_iter().unzip()
    }

    pub fn addressed<'a>(&'a self, single: &'a Single) -> (Target<'a>, &'a Message) {
        let Self { exchange, routing_key, .. } = self;
        (Target { exchange, routing_key, reason: single.reason.as_deref() }, &single.message)
    }
}

// === impl Leave ===

impl Leave {
    /// The target has confirmed the chunk, so it may have as many as any other.
    pub fn confirmed(self) {
        self.waiting.permits.add_permits(self.waiting.withheld.swap(0, Ordering::Relaxed));
    }

    /// The target has not confirmed the chunk.
    pub fn expired(self) {
        let fewer = |withheld| (withheld + 1 < CHUNKS_MAX).then_some(withheld + 1);
        if self.waiting.withheld.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fewer).is_ok() {
            self.permit.forget();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::super::fake_broker::message;
    use super::*;

    const TARGET: Target<'_> = Target { exchange: "", routing_key: "dead", reason: None };

    #[test]
    fn a_chunk_takes_the_oldest_and_none_that_nobody_waits_for() {
        let waiting = Singles::default().to(TARGET);
        let mut answers: Vec<_> =
            (0..MESSAGES_MAX + 3).map(|index| waiting.add(Some("why"), &message(&index.to_string()))).collect();
        answers.remove(0);
        let (taken, _) = waiting.take();
        assert_eq!((taken.len(), taken[0].message.id.as_str()), (MESSAGES_MAX, "1"));
        assert_eq!(waiting.addressed(&taken[0]).0.reason, Some("why"));
        assert_eq!(waiting.take().0.len(), 2);
        drop(answers);
        assert!(waiting.take().0.is_empty());
    }

    #[test]
    fn a_chunk_goes_to_one_queue() {
        let singles = Singles::default();
        let (dead, retry) = (singles.to(TARGET), singles.to(Target { routing_key: "retry", ..TARGET }));
        let answers = [&dead, &retry, &dead, &retry, &retry].map(|waiting| waiting.add(None, &message("m")));
        assert_eq!([&dead, &retry, &dead].map(|waiting| waiting.take().0.len()), [2, 3, 0]);
        drop(answers);
    }

    #[test]
    fn a_chunk_is_bounded_in_bytes_and_takes_a_larger_message_alone() {
        let (waiting, mut large) = (Singles::default().to(TARGET), message("large"));
        large.body = vec![b' '; BYTES_MAX + 1].into();
        let answers = [&large, &message("a"), &message("b")].map(|message| waiting.add(None, message));
        assert_eq!([waiting.take().0.len(), waiting.take().0.len()], [1, 2]);
        drop(answers);
    }

    #[test]
    fn what_publishers_have_given_up_does_not_pile_up() {
        let waiting = Singles::default().to(TARGET);
        for _ in 0..3 {
            drop(waiting.add(None, &message("m")));
        }
        assert_eq!(locked(&waiting.messages).len(), 1);
    }

    fn leaves(waiting: &Arc<Waiting>) -> Vec<Leave> {
        std::iter::from_fn(|| waiting.leave().now_or_never()).collect()
    }

    #[test]
    fn a_target_is_forgotten_when_all_is_confirmed_and_not_before() {
        let (singles, elsewhere) = (Singles::default(), Target { routing_key: "retry", ..TARGET });
        let chunks = leaves(&singles.to(TARGET));
        assert_eq!(chunks.len(), CHUNKS_MAX);
        singles.to(elsewhere);
        assert!(leaves(&singles.to(TARGET)).is_empty(), "its chunks are still on their way");
        drop(chunks);
        singles.to(Target { routing_key: "another", ..TARGET });
        assert_eq!(locked(&singles.0).len(), 1);
    }

    #[test]
    fn a_target_that_confirms_nothing_has_one_chunk_on_its_way_until_it_confirms_one() {
        let singles = Singles::default();
        for _ in 0..3 {
            leaves(&singles.to(TARGET)).into_iter().for_each(Leave::expired);
            singles.to(Target { routing_key: "another", ..TARGET });
        }
        let mut left = leaves(&singles.to(TARGET));
        assert_eq!(left.len(), 1);
        left.pop().unwrap().confirmed();
        assert_eq!(leaves(&singles.to(TARGET)).len(), CHUNKS_MAX);
    }
}

//! Messages that are published alone, as retries and dead letters are: whoever gets a channel takes along all that wait for one, so
//! a thousand of them cost a few round trips and not a thousand.

use std::collections::VecDeque;
use std::sync::Mutex;

use paceline_core::ports::broker::{Confirm, Message};
use tokio::sync::oneshot;

use super::chunk::{BYTES_MAX, MESSAGES_MAX};
use super::connection::locked;
use super::message::Target;

/// A message and where it goes.
pub struct Single {
    exchange: String,
    routing_key: String,
    reason: Option<String>,
    message: Message,
}

/// Where its publisher waits. Dropped, it says that the epoch has ended.
pub type Answer = oneshot::Sender<lapin::Result<Confirm>>;

/// In the order in which they came. Each belongs to a publisher that waits, so there are no more of them than jobs are held.
#[derive(Default)]
pub struct Singles(Mutex<VecDeque<(Single, Answer)>>);

impl Single {
    pub fn addressed(&self) -> (Target<'_>, &Message) {
        let Self { exchange, routing_key, reason, message } = self;
        (Target { exchange, routing_key, reason: reason.as_deref() }, message)
    }

    fn is_beside(&self, other: &Self) -> bool {
        (&self.exchange, &self.routing_key) == (&other.exchange, &other.routing_key)
    }
}

impl Singles {
    pub fn add(&self, target: Target<'_>, message: &Message) -> oneshot::Receiver<lapin::Result<Confirm>> {
        let (answer, receiver) = oneshot::channel();
        let Target { exchange, routing_key, reason } = target;
        let single = Single {
            exchange: exchange.to_owned(),
            routing_key: routing_key.to_owned(),
            reason: reason.map(str::to_owned),
            message: message.clone(),
        };
        locked(&self.0).push_back((single, answer));
        receiver
    }

    /// The oldest and what goes to the same queue, as many as a chunk takes, without those whose publisher has given up: a queue that
    /// confirms nothing holds up no message to another. Empty only if none is left.
    pub fn take(&self) -> (Vec<Single>, Vec<Answer>) {
        let mut waiting = locked(&self.0);
        let (mut taken, mut left, mut bytes) = (Vec::<(Single, Answer)>::new(), VecDeque::new(), 0);
        for (single, answer) in waiting.drain(..).filter(|(_, answer)| !answer.is_closed()) {
            let is_first = taken.is_empty();
            let goes_along = taken.first().is_none_or(|(first, _)| first.is_beside(&single));
            let fits = taken.len() < MESSAGES_MAX && bytes + single.message.body.len() <= BYTES_MAX;
            if is_first || (goes_along && fits) {
                bytes += single.message.body.len();
                taken.push((single, answer));
            } else {
                left.push_back((single, answer));
            }
        }
        *waiting = left;
        taken.into_iter().unzip()
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake_broker::message;
    use super::*;

    const TARGET: Target<'_> = Target { exchange: "", routing_key: "dead", reason: Some("why") };

    #[test]
    fn a_chunk_takes_the_oldest_and_none_that_nobody_waits_for() {
        let singles = Singles::default();
        let mut answers: Vec<_> =
            (0..MESSAGES_MAX + 3).map(|index| singles.add(TARGET, &message(&index.to_string()))).collect();
        answers.remove(0);
        let (taken, _) = singles.take();
        assert_eq!((taken.len(), taken[0].message.id.as_str()), (MESSAGES_MAX, "1"));
        assert_eq!(taken[0].addressed().0.reason, Some("why"));
        assert_eq!(singles.take().0.len(), 2);
        drop(answers);
        assert!(singles.take().0.is_empty());
    }

    #[test]
    fn a_chunk_goes_to_one_queue() {
        let singles = Singles::default();
        let elsewhere = Target { routing_key: "retry", ..TARGET };
        let answers =
            [TARGET, elsewhere, TARGET, elsewhere, elsewhere].map(|target| singles.add(target, &message("m")));
        let taken = [singles.take(), singles.take(), singles.take()].map(|(taken, _)| taken.len());
        assert_eq!(taken, [2, 3, 0]);
        drop(answers);
    }

    #[test]
    fn a_chunk_is_bounded_in_bytes_and_takes_a_larger_message_alone() {
        let (singles, mut large) = (Singles::default(), message("large"));
        large.body = vec![b' '; BYTES_MAX + 1].into();
        let answers = [&large, &message("a"), &message("b")].map(|message| singles.add(TARGET, message));
        assert_eq!([singles.take().0.len(), singles.take().0.len()], [1, 2]);
        drop(answers);
    }
}

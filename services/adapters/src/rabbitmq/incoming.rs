//! Brings the deliveries of a channel's two consumers back into the order of their tags, in which the broker sent them.
//!
//! lapin hands out each consumer's deliveries apart. A cumulative ack speaks for every delivery of the channel below its tag, so none
//! may be seen after one with a higher tag: an ack could reach it before anybody knew of it, and its job would be lost.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures::stream::Stream;
use lapin::message::Delivery;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    Main,
    GivenUp,
}

/// The reason for which there are no more deliveries.
#[derive(Debug)]
pub enum End {
    /// Channel or connection failed.
    Failed(lapin::Error),
    /// The broker ended a consumer.
    Cancelled,
}

/// Two streams, each in order. lapin fills both in the order of the tags: when one stream shows a tag, every lower tag is already in
/// its stream.
pub struct Merged<S> {
    main: S,
    given_up: S,
    /// Seen, and not yet handed out; one of each at most.
    main_next: Option<Delivery>,
    given_up_next: Option<Delivery>,
}

impl<S: Stream<Item = lapin::Result<Delivery>> + Unpin> Merged<S> {
    pub fn new(main: S, given_up: S) -> Self {
        Self { main, given_up, main_next: None, given_up_next: None }
    }

    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Result<(Source, Delivery), End>> {
        if self.main_next.is_none() {
            self.main_next = look(&mut self.main, context)?;
        }
        if self.given_up_next.is_none() {
            self.given_up_next = look(&mut self.given_up, context)?;
            // It may have been put there after the look at the other, and lower ones before it.
            if self.given_up_next.is_some() && self.main_next.is_none() {
                self.main_next = look(&mut self.main, context)?;
            }
        }
        let is_main_first = match (&self.main_next, &self.given_up_next) {
            (None, None) => return Poll::Pending,
            (Some(main), Some(given_up)) => main.delivery_tag < given_up.delivery_tag,
            (main, _) => main.is_some(),
        };
        let (source, next) = match is_main_first {
            true => (Source::Main, self.main_next.take()),
            false => (Source::GivenUp, self.given_up_next.take()),
        };
        Poll::Ready(Ok((source, next.expect("the one that is first is there"))))
    }
}

/// The present state of a stream.
fn look<S: Stream<Item = lapin::Result<Delivery>> + Unpin>(
    stream: &mut S,
    context: &mut Context<'_>,
) -> Result<Option<Delivery>, End> {
    match Pin::new(stream).poll_next(context) {
        Poll::Ready(Some(Ok(delivery))) => Ok(Some(delivery)),
        Poll::Ready(Some(Err(error))) => Err(End::Failed(error)),
        Poll::Ready(None) => Err(End::Cancelled),
        Poll::Pending => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::{Arc, Mutex};

    use futures::task::noop_waker_ref;

    use super::*;

    /// Two queues into which one sender puts; `before_look` runs before each look, as the sender does at any time.
    type Queue = Arc<Mutex<VecDeque<u64>>>;

    struct Shown {
        queue: Queue,
        before_look: Box<dyn FnMut() + Send>,
    }

    impl Stream for Shown {
        type Item = lapin::Result<Delivery>;

        fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
            (self.before_look)();
            let tag = self.queue.lock().unwrap().pop_front();
            let delivery = |tag| Ok(Delivery::mock(tag, "".into(), "".into(), false, Vec::new()));
            tag.map_or(Poll::Pending, |tag| Poll::Ready(Some(delivery(tag))))
        }
    }

    /// The sender puts so many before each look as `steps` says; at most one of what was given up is there at a time.
    fn handed_out(steps: &'static [usize], given_up_every: u64) -> Vec<u64> {
        let (main, given_up) = (Queue::default(), Queue::default());
        let state = Arc::new(Mutex::new((1_u64, steps.iter().copied().cycle())));
        let put = || {
            let (main, given_up, state) = (main.clone(), given_up.clone(), state.clone());
            Box::new(move || {
                let mut state = state.lock().unwrap();
                for _ in 0..state.1.next().unwrap() {
                    let to = if state.0 % given_up_every == 0 { &given_up } else { &main };
                    to.lock().unwrap().push_back(state.0);
                    state.0 += 1;
                }
            })
        };
        let shown = |queue: &Queue| Shown { queue: queue.clone(), before_look: put() };
        let mut merged = Merged::new(shown(&main), shown(&given_up));
        let mut context = Context::from_waker(noop_waker_ref());
        let mut tags = Vec::new();
        while tags.len() < 200 {
            if let Poll::Ready(next) = merged.poll_next(&mut context) {
                tags.push(next.unwrap().1.delivery_tag);
            }
        }
        tags
    }

    #[test]
    fn tags_come_in_order_whenever_they_are_sent() {
        for steps in [&[1][..], &[0, 1], &[0, 0, 2], &[0, 1, 0, 3], &[5], &[0, 2, 1, 0, 0, 7]] {
            for given_up_every in [1, 2, 3, 7] {
                let tags = handed_out(steps, given_up_every);
                assert!(tags.iter().copied().eq(1..=200), "{steps:?} {given_up_every}: {tags:?}");
            }
        }
    }
}

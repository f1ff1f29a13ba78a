//! The order of the nodes that a URL names, for every adapter that has several: each node in turn is asked, and one that was
//! found away is left out for a while.
//!
//! The official clients' own pools of several nodes go round them too, but know nothing of a node that does not answer.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The time for which a node is left out that was away. After that time one request tries the node, and the others go on without
/// it until that request is answered: a frozen node costs one request its whole time, every so often.
const LEFT_OUT: Duration = Duration::from_secs(30);

/// Nodes in an order of this process alone, so that all roles together use all nodes.
pub struct Rotation<T> {
    members: Vec<Member<T>>,
    next: AtomicUsize,
}

/// A node, by what reaches it.
pub struct Member<T> {
    pub node: T,
    /// Without credentials.
    pub address: String,
    left_out_until: Mutex<Option<Instant>>,
}

impl<T> Rotation<T> {
    /// Takes (address, node).
    pub fn new(nodes: impl IntoIterator<Item = (String, T)>) -> Self {
        let mut rotation = Self::in_order(nodes);
        fastrand::shuffle(&mut rotation.members);
        rotation
    }

    fn in_order(nodes: impl IntoIterator<Item = (String, T)>) -> Self {
        let member = |(address, node)| Member { node, address, left_out_until: Mutex::default() };
        Self { members: nodes.into_iter().map(member).collect(), next: AtomicUsize::new(0) }
    }

    /// The next node that is not left out; if all are, the one whose time is over first.
    pub fn next(&self) -> &Member<T> {
        let (first, now) = (self.next.fetch_add(1, Ordering::Relaxed), Instant::now());
        let in_turn = (0..self.members.len()).map(|step| &self.members[(first + step) % self.members.len()]);
        let takes_turn = |member: &&Member<T>| member.takes_turn(now);
        in_turn
            .clone()
            .find(takes_turn)
            .or_else(|| in_turn.min_by_key(|member| *member.left_out()))
            .expect("a URL names at least one node")
    }

    pub fn len(&self) -> usize {
        self.members.len()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Member<T>> {
        self.members.iter()
    }
}

/// Every address, sorted, which is what messages say when they are about no single node.
impl<T> fmt::Display for Rotation<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut addresses: Vec<&str> = self.iter().map(|member| member.address.as_str()).collect();
        addresses.sort_unstable();
        f.write_str(&addresses.join(", "))
    }
}

impl<T> Member<T> {
    /// The node was away, or said that it is none of its cluster.
    pub fn leave_out(&self) {
        *self.left_out() = Some(Instant::now() + LEFT_OUT);
    }

    pub fn has_answered(&self) {
        *self.left_out() = None;
    }

    /// The first request after the node's time is over tries the node, and is the only one for as long again.
    fn takes_turn(&self, now: Instant) -> bool {
        let mut left_out = self.left_out();
        match *left_out {
            None => true,
            Some(until) if until > now => false,
            Some(_) => {
                *left_out = Some(now + LEFT_OUT);
                true
            }
        }
    }

    fn left_out(&self) -> MutexGuard<'_, Option<Instant>> {
        self.left_out_until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rotation() -> Rotation<()> {
        Rotation::in_order(["a", "b", "c"].map(|name| (name.to_owned(), ())))
    }

    fn turns(rotation: &Rotation<()>, count: usize) -> String {
        (0..count).map(|_| rotation.next().address.as_str()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn they_take_turns_and_one_that_was_away_is_tried_by_one_request_later() {
        let rotation = rotation();
        assert_eq!(turns(&rotation, 4), "abca");
        rotation.members[1].leave_out();
        assert!(!turns(&rotation, 6).contains('b'));
        tokio::time::advance(LEFT_OUT).await;
        assert_eq!(turns(&rotation, 9).matches('b').count(), 1);
        rotation.members[1].has_answered();
        assert_eq!(turns(&rotation, 9).matches('b').count(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn when_all_are_left_out_the_first_to_be_back_is_asked() {
        let rotation = rotation();
        for member in [2, 0, 1] {
            rotation.members[member].leave_out();
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        assert_eq!(turns(&rotation, 3), "ccc");
    }

    #[test]
    fn addresses_are_named_in_their_order_whatever_that_of_the_nodes_is() {
        let rotation = Rotation::new(["b", "c", "a"].map(|name| (name.to_owned(), ())));
        assert_eq!(rotation.to_string(), "a, b, c");
    }
}

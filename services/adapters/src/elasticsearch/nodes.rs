//! The nodes of Elasticsearch that a URL names: each in turn takes a request, and one that was found away is left out for a while.
//!
//! The official client's own pool of several nodes goes round them too, but knows nothing of a node that does not answer.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use elasticsearch::http::transport::Transport;
use tokio::time::Instant;

/// The time for which a node is left out that was away. After that one request tries it, and the others go on without it until that one is
/// answered: a frozen node costs one request its whole time, every so often.
const LEFT_OUT: Duration = Duration::from_secs(30);

pub struct Node {
    pub transport: Transport,
    /// Without credentials.
    pub address: String,
    left_out_until: Mutex<Option<Instant>>,
}

pub struct Nodes {
    nodes: Vec<Node>,
    next: AtomicUsize,
}

impl Nodes {
    /// In an order of this process alone, so that all roles together use all nodes.
    pub fn new(mut nodes: Vec<Node>) -> Self {
        fastrand::shuffle(&mut nodes);
        Self { nodes, next: AtomicUsize::new(0) }
    }

    /// The next that is not left out; if all are, the one whose time is over first.
    pub fn next(&self) -> &Node {
        let (first, now) = (self.next.fetch_add(1, Ordering::Relaxed), Instant::now());
        let in_turn = (0..self.nodes.len()).map(|step| &self.nodes[(first + step) % self.nodes.len()]);
        let takes_turn = |node: &&Node| node.takes_turn(now);
        in_turn
            .clone()
            .find(takes_turn)
            .or_else(|| in_turn.min_by_key(|node| *node.left_out()))
            .expect("there is a node")
    }

    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter()
    }

    /// All of them, for messages.
    pub fn addresses(&self) -> String {
        let mut addresses: Vec<&str> = self.nodes.iter().map(|node| node.address.as_str()).collect();
        addresses.sort_unstable();
        addresses.join(", ")
    }
}

impl Node {
    pub fn new(transport: Transport, address: String) -> Self {
        Self { transport, address, left_out_until: Mutex::default() }
    }

    /// It was away, or said that it is none of its cluster.
    pub fn leave_out(&self) {
        *self.left_out() = Some(Instant::now() + LEFT_OUT);
    }

    pub fn has_answered(&self) {
        *self.left_out() = None;
    }

    /// Whoever asks when its time is over tries it, and is the only one for as long again.
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

    fn left_out(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.left_out_until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes() -> Nodes {
        let node = |name: &str| Node::new(Transport::single_node("http://127.0.0.1:1").unwrap(), name.to_owned());
        Nodes { nodes: ["a", "b", "c"].map(node).into(), next: AtomicUsize::new(0) }
    }

    fn turns(nodes: &Nodes, count: usize) -> String {
        (0..count).map(|_| nodes.next().address.as_str()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn they_take_turns_and_one_that_was_away_is_tried_by_one_request_later() {
        let nodes = nodes();
        assert_eq!(turns(&nodes, 4), "abca");
        nodes.nodes[1].leave_out();
        assert!(!turns(&nodes, 6).contains('b'));
        tokio::time::advance(LEFT_OUT).await;
        assert_eq!(turns(&nodes, 9).matches('b').count(), 1);
        nodes.nodes[1].has_answered();
        assert_eq!(turns(&nodes, 9).matches('b').count(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn when_all_are_left_out_the_first_to_be_back_is_asked() {
        let nodes = nodes();
        for node in [2, 0, 1] {
            nodes.nodes[node].leave_out();
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        assert_eq!(turns(&nodes, 3), "ccc");
    }
}

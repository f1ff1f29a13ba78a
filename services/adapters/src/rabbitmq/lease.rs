//! A channel in one hand for a short while, from the connection's stock of free channels and back to it.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use paceline_core::Result;

use super::acker;
use super::state::State;

/// A channel in one hand. It is kept for the next hand if it is still open, since a question about a queue that is not there closes
/// its channel, and if nothing is left to be answered on it: a late answer would be taken for that of the next question.
pub struct ChannelLease {
    state: Arc<State>,
    channel: lapin::Channel,
    unanswered: AtomicUsize,
    is_used_up: bool,
}

impl ChannelLease {
    pub fn new(state: Arc<State>, channel: lapin::Channel) -> Self {
        Self { state, channel, unanswered: AtomicUsize::new(0), is_used_up: false }
    }

    /// Closes the channel: lapin keeps every binding that is made on a channel for as long as the channel lives.
    pub fn discard(mut self) {
        self.is_used_up = true;
    }

    pub async fn request<T>(&self, answer: impl Future<Output = lapin::Result<T>>) -> Result<T> {
        let answer = async {
            self.unanswered.fetch_add(1, Ordering::Relaxed);
            let answered = answer.await;
            self.unanswered.fetch_sub(1, Ordering::Relaxed);
            answered
        };
        self.state.request(answer).await
    }
}

impl std::ops::Deref for ChannelLease {
    type Target = lapin::Channel;

    fn deref(&self) -> &lapin::Channel {
        &self.channel
    }
}

impl Drop for ChannelLease {
    fn drop(&mut self) {
        let is_clean = *self.unanswered.get_mut() == 0 && !self.is_used_up && self.channel.status().connected();
        if !is_clean || !self.state.put_back(&self.channel) {
            // Not by the drop alone: what is unanswered holds the channel too.
            acker::send_now(self.channel.close(200, "done".into()));
        }
    }
}

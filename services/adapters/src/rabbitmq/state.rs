//! The state that a connection, its channels and its tasks share: the reason of its end, for everybody who asks; the broker's word
//! that it takes no publishes; the channels that are free.

use std::future::Future;
use std::sync::Arc;
use std::sync::Mutex;

use paceline_core::error::codes;
use paceline_core::{Error, Result};
use tokio::sync::{Notify, watch};

use super::acker::Acking;
use super::errors;
use super::limits::REQUEST_TIMEOUT;
use super::lock::locked;

/// The number of channels for short use that are kept.
const FREE_CHANNELS_MAX: usize = 8;

pub struct State {
    /// `host:port`, for messages.
    pub label: String,
    pub acking: Arc<Acking>,
    /// The reason for which the broker takes no publishes now.
    pub blocked: watch::Sender<Option<String>>,
    /// The reason of the connection's end.
    pub failure: watch::Sender<Option<Error>>,
    /// The owner has dropped the connection.
    pub closing: Notify,
    /// Open, and in nobody's hands.
    free: Mutex<Vec<lapin::Channel>>,
}

impl State {
    pub fn new(label: String) -> Self {
        let (blocked, failure) = (watch::Sender::new(None), watch::Sender::new(None));
        Self { label, acking: Arc::default(), blocked, failure, closing: Notify::new(), free: Mutex::default() }
    }

    /// A channel that was put back, if one is still open.
    pub fn take_free(&self) -> Option<lapin::Channel> {
        let mut free = locked(&self.free);
        free.retain(|channel| channel.status().connected());
        free.pop()
    }

    /// Keeps a channel for the next who needs one; false if there are enough.
    pub fn put_back(&self, channel: &lapin::Channel) -> bool {
        let mut free = locked(&self.free);
        let has_room = free.len() < FREE_CHANNELS_MAX;
        if has_room {
            free.push(channel.clone());
        }
        has_room
    }

    /// Words for an answer that takes too long.
    pub fn overdue(&self) -> Error {
        let (label, seconds) = (&self.label, REQUEST_TIMEOUT.as_secs());
        Error::unavailable(format!("RabbitMQ at {label} did not answer within {seconds} s"))
            .coded(codes::BROKER_TIMEOUT)
    }

    /// Waits for the answer to a request, in bounded time.
    pub async fn request<T>(&self, answer: impl Future<Output = lapin::Result<T>>) -> Result<T> {
        match tokio::time::timeout(REQUEST_TIMEOUT, answer).await {
            Ok(answer) => answer.map_err(|error| self.explain(&error)),
            Err(_) => Err(self.overdue()),
        }
    }

    /// Words for an error of lapin on this connection.
    pub fn explain(&self, error: &lapin::Error) -> Error {
        match (error.kind(), self.failure.borrow().clone()) {
            (lapin::ErrorKind::ChannelsLimitReached, _) => Error::resource_exhausted(format!(
                "the connection to RabbitMQ at {} has all of its channels in use, of which each consumer needs one; start fewer \
                 consumers (--consumers), or raise channel_max in RabbitMQ's configuration",
                self.label
            )).coded(codes::CHANNELS_EXHAUSTED),
            // The first reason of the end, and not that a request found the connection ended.
            (_, Some(failure)) if !error.is_amqp_error() => failure,
            _ => errors::lost(&self.label, error),
        }
    }

    /// An end that nobody wanted.
    pub fn fail(&self, error: Error) {
        if self.end(error.clone()) {
            tracing::warn!(broker = %self.label, reason = %error, "the connection to RabbitMQ is lost");
        }
    }

    /// The end, for everybody who waits. Only the first reason counts; false for a later one.
    pub fn end(&self, error: Error) -> bool {
        let is_first = self.failure.send_if_modified(|failure| {
            let is_first = failure.is_none();
            failure.get_or_insert(error);
            is_first
        });
        self.blocked.send_replace(None);
        self.acking.close();
        locked(&self.free).clear();
        is_first
    }
}

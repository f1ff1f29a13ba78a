//! One epoch of publishing: a connection with its channels in confirm mode, and the chunks that are on their way through them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lapin::options::ConfirmSelectOptions;
use paceline_core::error::codes;
use paceline_core::ports::broker::{Confirm, Message};
use paceline_core::{Error, ErrorKind, Result};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::task::JoinSet;

use super::acker;
use super::chunk::{CHANNELS, CHUNK_TIMEOUT, Chunk, Decided, Lane, Unconfirmed, chunks};
use super::connection::AmqpConnection;
use super::lock::locked;
use super::message::Target;
use super::singles::{Leave, Singles, Waiting};
use super::topology;
use crate::link::Epoch;

/// One epoch: a connection with the exchange declared and its channels in confirm mode.
pub struct Publishing {
    connection: Arc<AmqpConnection>,
    channels: Arc<Channels>,
    singles: Singles,
    /// Messages on which the broker has decided.
    confirmed: Arc<AtomicU64>,
    /// Each waits for the confirms of a chunk, also after its publisher has given up; then its channel is free.
    confirming: Mutex<JoinSet<()>>,
}

struct Channels {
    free: Mutex<Vec<Lane>>,
    /// As many as there are free ones.
    permits: Arc<Semaphore>,
}

/// For a chunk, until its channel is free: a channel's, and the target's.
type Permits = (OwnedSemaphorePermit, Leave);

impl Epoch for Publishing {
    fn failure(&self) -> Option<Error> {
        self.connection.failure()
    }
}

// === impl Publishing ===

impl Publishing {
    /// Takes a fresh connection for publishing alone.
    pub async fn open(connection: AmqpConnection, exchange: &str) -> Result<Self> {
        let mut free = Vec::with_capacity(CHANNELS);
        for _ in 0..CHANNELS {
            free.push(Lane::new(confirming_channel(&connection).await.map_err(too_few_channels)?));
        }
        connection.request(topology::declare_exchange(&free[0].channel, exchange)).await?;
        let channels = Arc::new(Channels { free: Mutex::new(free), permits: Arc::new(Semaphore::new(CHANNELS)) });
        let (singles, confirmed, confirming) = Default::default();
        Ok(Self { connection: Arc::new(connection), channels, singles, confirmed, confirming })
    }

    /// The number of messages on which the broker has decided.
    pub fn confirmed(&self) -> u64 {
        self.confirmed.load(Ordering::Relaxed)
    }

    /// The reason for which the broker takes no publishes now, if there is one.
    pub fn blocked(&self) -> Option<String> {
        self.connection.blocked()
    }

    pub async fn publish(&self, target: Target<'_>, batch: &[Message]) -> Result<Vec<Confirm>> {
        if let [message] = batch {
            return Ok(vec![self.publish_one(target, message).await?]);
        }
        let mut waiting = Vec::new();
        for messages in chunks(batch) {
            self.connection.ready_to_publish().await?;
            waiting.push(self.send(target, messages).await?);
        }
        let mut confirms = Vec::with_capacity(batch.len());
        for answer in waiting {
            confirms.append(&mut self.answered(answer.await)?);
        }
        Ok(confirms)
    }

    /// Publishes a message together with all others that wait for a channel.
    async fn publish_one(&self, target: Target<'_>, message: &Message) -> Result<Confirm> {
        self.connection.ready_to_publish().await?;
        let waiting = self.singles.to(target);
        let mut answer = waiting.add(target.reason, message);
        loop {
            tokio::select! {
                biased;
                // Somebody else's chunk took it along.
                answer = &mut answer => return self.answered(answer),
                permits = self.permits(&waiting) => {
                    let permits = permits?;
                    let (singles, answers) = waiting.take();
                    if singles.is_empty() {
                        drop(permits);
                        return self.answered(answer.await);
                    }
                    // The publishers may have given up.
                    let tell = |confirms: Decided<Vec<Confirm>>| match confirms {
                        Ok(confirms) => answers.into_iter().zip(confirms).for_each(|(answer, confirm)| _ = answer.send(Ok(confirm))),
                        Err(error) => answers.into_iter().for_each(|answer| _ = answer.send(Err(error.clone()))),
                    };
                    self.start(permits, singles.iter().map(|single| waiting.addressed(single)), tell);
                }
            }
        }
    }

    async fn send(&self, target: Target<'_>, messages: &[Message]) -> Result<oneshot::Receiver<Decided<Vec<Confirm>>>> {
        let permits = self.permits(&self.singles.to(target)).await?;
        let (answer, receiver) = oneshot::channel();
        let addressed = messages.iter().map(|message| (target, message));
        // The publisher may have given up.
        self.start(permits, addressed, |confirms| _ = answer.send(confirms));
        Ok(receiver)
    }

    /// Leave to send a chunk to one target. The target's comes first, so that who waits for it keeps no channel from others. `Err`: the
    /// connection has failed.
    async fn permits(&self, waiting: &Arc<Waiting>) -> Result<Permits> {
        let of_target = waiting.leave().await;
        let of_channel = self.channels.permits.clone().acquire_owned().await;
        let failed = || {
            self.connection
                .failure()
                .unwrap_or_else(|| Error::unavailable("the connection has failed").coded(codes::BROKER_CONNECTION_LOST))
        };
        Ok((of_channel.map_err(|_| failed())?, of_target))
    }

    /// Sends a chunk on a channel that has nothing else on its way, since lapin does not say which of several confirms a returned
    /// message belongs to.
    fn start<'a>(
        &self,
        permits: Permits,
        messages: impl Iterator<Item = (Target<'a>, &'a Message)>,
        tell: impl FnOnce(Decided<Vec<Confirm>>) + Send + 'static,
    ) {
        let lane = locked(&self.channels.free).pop().expect("a permit is a free channel");
        let chunk = Chunk::send(lane, messages);
        let (connection, channels) = (self.connection.clone(), self.channels.clone());
        let confirmed = self.confirmed.clone();
        let mut confirming = locked(&self.confirming);
        while confirming.try_join_next().is_some() {}
        confirming.spawn(async move {
            let (confirms, lane) = chunk.confirmed(&connection, &confirmed).await;
            // Before the answer: who publishes the next chunk finds the lane.
            match next_lane(&connection, &confirms, lane).await {
                Ok(lane) => locked(&channels.free).push(lane),
                Err(error) => channels.fail(&connection, error),
            }
            let (of_channel, of_target) = permits;
            match &confirms {
                Ok(_) => of_target.confirmed(),
                Err(Unconfirmed::Expired { .. }) => of_target.expired(),
                Err(Unconfirmed::Lost(_)) => drop(of_target),
            }
            drop(of_channel);
            tell(confirms);
        });
    }

    fn answered<T>(&self, answer: std::result::Result<Decided<T>, oneshot::error::RecvError>) -> Result<T> {
        let gone = |_| Err(Unconfirmed::Lost(lapin::ErrorKind::InvalidChannel(0).into()));
        answer.unwrap_or_else(gone).map_err(|unconfirmed| match unconfirmed {
            Unconfirmed::Expired { .. } => self.connection.unconfirmed(CHUNK_TIMEOUT),
            Unconfirmed::Lost(error) => self.give_up(self.connection.explain(&error)),
        })
    }

    /// A channel that failed takes the epoch with it: the next publish builds all of it anew. The broker's own reason
    /// keeps its code where it is, as this error, one that may pass.
    fn give_up(&self, error: Error) -> Error {
        self.connection.fail(error.clone());
        let is_told = error.code != codes::BROKER_CONNECTION_LOST && error.is_retryable();
        let code = if is_told { error.code } else { codes::PUBLISH_NOT_CONFIRMED };
        Error::unavailable(format!("the publish is not confirmed: {error}")).coded(code)
    }

    /// The answer to a publish that took too long; `confirmed_before` is what was confirmed when it began. The connection stays: a broker
    /// that is gone misses its heartbeats, and the chunk, which has more time, ends a connection on which nothing at all is confirmed.
    pub fn overdue(&self, confirmed_before: u64, waited: Duration) -> Error {
        let (node, seconds) = (self.connection.node(), waited.as_secs());
        if let Some(reason) = self.connection.blocked() {
            return Error::unavailable(format!("RabbitMQ at {node} takes no publishes now: {reason}"))
                .coded(codes::BROKER_BLOCKS_PUBLISHERS);
        }
        if self.confirmed() == confirmed_before {
            return Error::unavailable(format!("RabbitMQ at {node} did not confirm within {seconds} s"))
                .coded(codes::PUBLISH_NOT_CONFIRMED);
        }
        // Others are confirmed meanwhile, so it is this queue that is slow or stuck.
        Error::resource_exhausted(format!("RabbitMQ at {node} has more to confirm than {seconds} s were enough for"))
            .coded(codes::BROKER_BEHIND)
    }
}

/// The limit is one of the broker's configuration, and no queue's: another producer's broker may allow more.
fn too_few_channels(error: Error) -> Error {
    if error.kind != ErrorKind::ResourceExhausted {
        return error;
    }
    Error::failed_precondition(format!(
        "RabbitMQ allows a connection fewer channels than the {CHANNELS} of a publisher; raise channel_max in its configuration"
    )).coded(codes::CHANNELS_TOO_FEW)
}

async fn confirming_channel(connection: &AmqpConnection) -> Result<Arc<lapin::Channel>> {
    let channel = connection.channel().await?;
    connection.request(channel.confirm_select(ConfirmSelectOptions::default())).await?;
    Ok(Arc::new(channel))
}

// === impl Channels ===

impl Channels {
    /// Ends the connection and, at once, the use of its channels: the one at fault has confirms outstanding, and is no longer among them.
    fn fail(&self, connection: &AmqpConnection, error: Error) {
        connection.fail(error);
        self.permits.close();
    }
}

/// A lane for the next chunk, after one that ended like this; or the error that ends the connection.
async fn next_lane(connection: &AmqpConnection, confirms: &Decided<Vec<Confirm>>, lane: Lane) -> Result<Lane> {
    match confirms {
        Ok(_) => Ok(lane),
        // Nothing is confirmed, whoever sent it: another connection may reach a broker of the cluster that is well.
        Err(Unconfirmed::Expired { is_silent: true }) if connection.blocked().is_none() => {
            Err(connection.unconfirmed(CHUNK_TIMEOUT))
        }
        Err(Unconfirmed::Expired { .. }) => replaced(connection, lane.channel).await,
        // Said here too: the publishers may have given up, and the next would get a channel that has ended.
        Err(Unconfirmed::Lost(error)) => Err(connection.explain(error)),
    }
}

/// A new channel in place of one that has confirms outstanding. If there is none to be had the connection fails.
async fn replaced(connection: &AmqpConnection, channel: Arc<lapin::Channel>) -> Result<Lane> {
    let replacement = replacement(connection).await?;
    tracing::warn!(reason = %connection.unconfirmed(CHUNK_TIMEOUT), "a channel to RabbitMQ is replaced");
    // Nobody waits for the broker's answer: what it still confirms before that, lapin drops.
    acker::send_now(channel.close(200, "done".into()));
    Ok(Lane::new(replacement))
}

async fn replacement(connection: &AmqpConnection) -> Result<Arc<lapin::Channel>> {
    loop {
        connection.ready_to_publish().await?;
        match confirming_channel(connection).await {
            // lapin sends nothing to a broker that takes no publishes, so no answer is no failure then.
            Err(_) if connection.blocked().is_some() => (),
            opened => return opened,
        }
    }
}

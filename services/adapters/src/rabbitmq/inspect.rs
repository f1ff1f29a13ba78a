//! Looks into the queues: how much is where, what is dead; and deletes the messages that are ready. Each on a channel that nobody
//! else uses meanwhile, because a question about a queue that is not there closes the channel.

use futures::future::try_join_all;
use lapin::Channel;
use lapin::options::{
    BasicGetOptions, BasicQosOptions, ExchangeDeleteOptions, QueueDeclareOptions, QueueDeleteOptions, QueuePurgeOptions,
};
use lapin::types::FieldTable;
use paceline_core::error::codes;
use paceline_core::ports::broker::{DeadLetter, Depth};
use paceline_core::{Error, ErrorKind, Result};

use super::connection::AmqpConnection;
use super::message::Decoder;
use super::names::QueueNames;

/// The number of messages that are asked for at once.
const GETS_AT_ONCE: usize = 30;
const PRECONDITION_FAILED: u16 = 406;

/// A question that changes nothing: how many messages a consumer of this channel, which gets none, would hold.
pub async fn ping(connection: &AmqpConnection) -> Result<()> {
    let channel = connection.lease().await?;
    channel.request(channel.basic_qos(1, BasicQosOptions::default())).await
}

/// AMQP does not say what is unacknowledged. `NotFound`: there is no main queue. Where one of the others is missing it is unknown
/// what was in it, so that is another error.
pub async fn depth(connection: &AmqpConnection, names: &QueueNames) -> Result<Depth> {
    let channel = connection.lease().await?;
    let ask = async |queue: &str| {
        let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let answer = channel.queue_declare(queue.into(), passive, FieldTable::default()).await?;
        Ok::<_, lapin::Error>(u64::from(answer.message_count()))
    };
    let main = channel.request(ask(&names.main)).await?;
    let others = names.queues().skip(1).map(ask);
    let others = channel.request(try_join_all(others)).await.map_err(incomplete)?;
    let [given_up, dead, retries @ ..] = &others[..] else { unreachable!("every (queue, group) has these") };
    // Messages that the broker gave up on wait for a consumer too.
    Ok(Depth { ready: main + given_up, unacked: None, delayed: retries.iter().sum(), dead: *dead })
}

/// Half of the queues are there: somebody declares them just now, or deleted one.
fn incomplete(error: Error) -> Error {
    if error.kind != ErrorKind::NotFound {
        return error;
    }
    Error::unavailable(format!("{error}; a worker or producer that starts declares it")).coded(codes::QUEUE_GONE)
}

pub async fn purge(connection: &AmqpConnection, names: &QueueNames) -> Result<u64> {
    let channel = connection.lease().await?;
    let purge = |queue: &str| channel.queue_purge(queue.into(), QueuePurgeOptions::default());
    let purged = channel.request(try_join_all([purge(&names.main), purge(&names.given_up)])).await?;
    Ok(purged.into_iter().map(u64::from).sum())
}

/// Deletes every queue of a (queue, group) with what is in it, and the exchange if no other queue needs it.
pub async fn remove(connection: &AmqpConnection, names: &QueueNames) -> Result<()> {
    let channel = connection.lease().await?;
    let delete = |queue: &str| channel.queue_delete(queue.into(), QueueDeleteOptions::default());
    channel.request(try_join_all(names.queues().map(delete))).await?;
    let unused = ExchangeDeleteOptions { if_unused: true, ..ExchangeDeleteOptions::default() };
    let deleted = async {
        match channel.exchange_delete(names.exchange.as_str().into(), unused).await {
            Err(error) if is_in_use(&error) => Ok(()),
            deleted => deleted,
        }
    };
    channel.request(deleted).await
}

fn is_in_use(error: &lapin::Error) -> bool {
    matches!(error.kind(), lapin::ErrorKind::ProtocolError(closed) if closed.get_id() == PRECONDITION_FAILED)
}

/// Takes up to `limit` messages without settling them; when the channel closes they are back where they were.
pub async fn dead_letters(connection: &AmqpConnection, names: &QueueNames, limit: usize) -> Result<Vec<DeadLetter>> {
    let channel = connection.channel().await?;
    let letters = get_letters(connection, &channel, names, limit).await;
    _ = connection.request(channel.close(200, "done".into())).await;
    letters
}

async fn get_letters(
    connection: &AmqpConnection,
    channel: &Channel,
    names: &QueueNames,
    limit: usize,
) -> Result<Vec<DeadLetter>> {
    let mut decoder = Decoder::default();
    let mut letters = Vec::new();
    while letters.len() < limit {
        let asked = GETS_AT_ONCE.min(limit - letters.len());
        let get = |_| channel.basic_get(names.dead.as_str().into(), BasicGetOptions::default());
        let got = connection.request(try_join_all((0..asked).map(get))).await?;
        for message in got {
            let Some(message) = message else { return Ok(letters) };
            let delivery = message.delivery;
            let (message, envelope) = decoder.decode(delivery.redelivered, delivery.data.into());
            letters.push(DeadLetter { message, reason: envelope.reason.unwrap_or_default() });
        }
    }
    Ok(letters)
}

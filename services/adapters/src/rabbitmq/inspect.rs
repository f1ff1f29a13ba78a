//! Looks into the queues: how much is where, what is dead, and out with what is ready. Each on a channel of its own, because a
//! question about a queue that is not there closes the channel.

use std::time::Duration;

use futures::future::try_join_all;
use paceline_core::ports::broker::{DeadLetter, Depth};
use paceline_core::{Error, ErrorKind, Result};

use super::message::Decoder;
use super::topology::Names;
use super::wire::{Connection, Event, requests};

/// How many messages are asked for at once.
const GETS_AT_ONCE: usize = 64;
const GET_TIMEOUT: Duration = Duration::from_secs(10);

/// AMQP does not say what is unacknowledged. `NotFound`: there is no main queue. Where one of the others is missing it is unknown
/// what was in it, so that is another error.
pub async fn depth(connection: &Connection, names: &Names) -> Result<Depth> {
    let (channel, _) = connection.channel().await?;
    let ask = |queue: &str| channel.request(|out, number| requests::queue_declare_passive(out, number, queue));
    let main = ask(&names.main)?.await?;
    let others = async {
        let (given_up, dead) = (ask(&names.given_up)?, ask(&names.dead)?);
        let retries = names.retries().iter().map(|queue| ask(queue)).collect::<Result<Vec<_>>>()?;
        Ok((given_up.await?, dead.await?, try_join_all(retries).await?))
    };
    let (given_up, dead, retries) = others.await.map_err(incomplete)?;
    // What the broker gave up on waits for a consumer too.
    Ok(Depth { ready: main + given_up, unacked: None, delayed: retries.iter().sum(), dead })
}

/// Half of the queues are there: somebody declares them just now, or deleted one.
fn incomplete(error: Error) -> Error {
    if error.kind != ErrorKind::NotFound {
        return error;
    }
    Error::unavailable(format!("{error}; a worker or producer that starts declares it"))
}

pub async fn purge(connection: &Connection, names: &Names) -> Result<u64> {
    let (channel, _) = connection.channel().await?;
    let purge = |queue: &str| channel.request(|out, number| requests::queue_purge(out, number, queue));
    let (main, given_up) = (purge(&names.main)?, purge(&names.given_up)?);
    Ok(main.await? + given_up.await?)
}

/// Deletes every queue of a (queue, group) with what is in it, and the exchange if no other queue needs it.
pub async fn remove(connection: &Connection, names: &Names) -> Result<()> {
    let (channel, _) = connection.channel().await?;
    let delete = |queue: &str| channel.request(|out, number| requests::queue_delete(out, number, queue));
    let replies = names.queues().map(delete).collect::<Result<Vec<_>>>()?;
    for reply in replies {
        reply.await?;
    }
    match channel.request(|out, number| requests::exchange_delete_if_unused(out, number, &names.exchange))?.await {
        Err(error) if error.message.contains("closed the channel: 406") => Ok(()),
        answer => answer.map(drop),
    }
}

/// Takes up to `limit` messages without settling them; when the channel closes they are back where they were.
pub async fn dead_letters(connection: &Connection, names: &Names, limit: usize) -> Result<Vec<DeadLetter>> {
    let (channel, mut deliveries) = connection.channel().await?;
    let mut decoder = Decoder::default();
    let mut letters = Vec::new();
    while letters.len() < limit {
        let asked = GETS_AT_ONCE.min(limit - letters.len());
        for _ in 0..asked {
            channel.get(&names.dead)?;
        }
        for _ in 0..asked {
            let event = tokio::time::timeout(GET_TIMEOUT, deliveries.recv()).await;
            let event =
                event.map_err(|_| Error::unavailable(format!("RabbitMQ does not read the queue {}", names.dead)))?;
            match event.ok_or_else(|| channel.failure())? {
                Event::Message(incoming) => {
                    let (message, envelope) = decoder.decode(incoming);
                    letters.push(DeadLetter { message, reason: envelope.reason.unwrap_or_default() });
                }
                Event::Empty | Event::Cancelled => return Ok(letters),
            }
        }
    }
    Ok(letters)
}

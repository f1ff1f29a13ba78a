//! The writing task: whatever gathered since its last write goes out in one, acks included.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use paceline_core::Error;
use tokio::io::AsyncWriteExt as _;
use tokio::time::{Instant, MissedTickBehavior};

use super::acker::Gathered;
use super::channel::ChannelState;
use super::connection::Shared;
use super::transport::Output;
use super::{frame, locked, requests};

/// The longest that acks wait for more of their channel.
const ACK_WAIT_MAX: Duration = Duration::from_millis(10);
/// How long a connection that is closed waits for what is left to be written, and for the broker's goodbye.
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(2);

pub async fn run(shared: Arc<Shared>, mut output: Output, heartbeat: Duration) {
    tokio::select! {
        written = write_until_closing(&shared, &mut output, heartbeat) => match written {
            Ok(()) => say_goodbye(&shared, &mut output).await,
            Err(e) => shared.fail(Error::unavailable(format!("cannot write to RabbitMQ at {}: {e}", shared.label))),
        },
        () = shared.until_ended() => {
            // Whatever is still to be said, such as the answer to a close, is said if the socket takes it.
            let rest = std::mem::take(&mut *locked(&shared.outbox));
            _ = tokio::time::timeout(GOODBYE_TIMEOUT, async { output.write_all(&rest).await.and(output.shutdown().await) }).await;
        }
    }
}

async fn write_until_closing(shared: &Shared, output: &mut Output, heartbeat: Duration) -> std::io::Result<()> {
    let mut tick = tokio::time::interval(heartbeat / 2);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let acks_waited = tokio::time::sleep(Duration::ZERO);
    tokio::pin!(acks_waited);
    let mut is_waiting = false;
    let mut bytes = Vec::new();
    loop {
        let is_closing = shared.is_closing.load(Ordering::Acquire);
        shared.put_acks(&shared.acks_due, Gathered::Due);
        if is_closing || is_waiting && acks_waited.is_elapsed() {
            is_waiting = false;
            shared.put_acks(&shared.acks_waiting, Gathered::Waited);
        } else if !is_waiting && !locked(&shared.acks_waiting).is_empty() {
            is_waiting = true;
            acks_waited.as_mut().reset(Instant::now() + ACK_WAIT_MAX);
        }
        std::mem::swap(&mut bytes, &mut *locked(&shared.outbox));
        if !bytes.is_empty() {
            output.write_all(&bytes).await?;
            output.flush().await?;
            bytes.clear();
            shared.room.notify_waiters();
        } else if is_closing {
            return Ok(());
        } else {
            tokio::select! {
                // Others that are about to send or ack get their turn first, so that one write takes it all.
                () = shared.wake.notified() => tokio::task::yield_now().await,
                () = &mut acks_waited, if is_waiting => (),
                _ = tick.tick() => frame::put_heartbeat(&mut locked(&shared.outbox)),
            }
        }
    }
}

async fn say_goodbye(shared: &Shared, output: &mut Output) {
    let mut goodbye = Vec::new();
    requests::close(&mut goodbye, 0);
    let exchange = async {
        output.write_all(&goodbye).await?;
        output.flush().await?;
        // The reading task ends the connection at the broker's answer.
        shared.until_ended().await;
        output.shutdown().await
    };
    _ = tokio::time::timeout(GOODBYE_TIMEOUT, exchange).await;
    shared.fail(Error::unavailable(format!("the connection to RabbitMQ at {} was closed", shared.label)));
}

impl Shared {
    /// Turns what was settled on the listed channels into acks.
    fn put_acks(&self, list: &Mutex<Vec<Arc<ChannelState>>>, gathered: Gathered) {
        let channels = std::mem::take(&mut *locked(list));
        for channel in channels {
            channel.put_acks(self, gathered);
        }
    }
}

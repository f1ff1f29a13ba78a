//! The task that keeps a connection: passes on the broker's events until the connection has failed or its owner drops it, and ends
//! the socket then, whatever the broker does.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use lapin::Event;
use paceline_core::Error;
use paceline_core::error::codes;
use tokio::sync::watch;

use super::errors;
use super::socket::CutOnDrop;
use super::state::State;

/// The longest that a connection that is closed waits for the broker's goodbye.
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(2);
/// lapin queues a heartbeat every 1.5 s for a broker that blocks publishers, and sends none: the connection is replaced after an hour.
const BLOCKED_MAX: Duration = Duration::from_secs(60 * 60);

/// Runs until the connection has failed or its owner drops it. Then the socket ends.
pub async fn run(lapin: Arc<lapin::Connection>, state: Arc<State>, _end: CutOnDrop) {
    let mut events = lapin.events_listener().boxed();
    // The listener hears nothing of an end that came before it.
    if !lapin.status().connected() {
        return state.fail(errors::connection_lost(&state.label, "it ended at once"));
    }
    let (mut failed, mut blocked) = (state.failure.subscribe(), state.blocked.subscribe());
    loop {
        let event = tokio::select! {
            biased;
            // First: a word of the broker that comes late must not seem to be about a connection that is open.
            () = has_failed(&mut failed) => return,
            event = events.next() => event,
            reason = is_blocked_for_long(&mut blocked) => {
                let minutes = BLOCKED_MAX.as_secs() / 60;
                let reason = format!("it has taken no publishes for {minutes} minutes: {reason}");
                return state.fail(errors::connection_lost(&state.label, &reason));
            }
            () = state.closing.notified() => return say_goodbye(&lapin, &state).await,
        };
        if let Some(end) = end_by(event, &lapin, &state) {
            return state.fail(end);
        }
    }
}

/// Passes on one event; the reason of the connection's end if the event is that.
fn end_by(event: Option<Event>, lapin: &lapin::Connection, state: &State) -> Option<Error> {
    match event {
        Some(Event::ConnectionBlocked(reason)) => {
            tracing::warn!(broker = %state.label, %reason, "RabbitMQ takes no publishes for now");
            state.blocked.send_replace(Some(reason));
        }
        Some(Event::ConnectionUnblocked) => {
            tracing::info!(broker = %state.label, "RabbitMQ takes publishes again");
            state.blocked.send_replace(None);
        }
        // The errors of single channels come here too.
        Some(Event::Error(error)) if !lapin.status().connected() => {
            return Some(errors::lost(&state.label, &error));
        }
        Some(_) => (),
        None => return Some(errors::connection_lost(&state.label, "it ended")),
    }
    None
}

async fn has_failed(failed: &mut watch::Receiver<Option<Error>>) {
    // The sender lives in `State`, so the wait cannot fail.
    _ = failed.wait_for(Option::is_some).await;
}

/// The reason for which the broker takes no publishes, once it has stood for [`BLOCKED_MAX`]. Each event begins the wait anew, which
/// makes it a little longer.
async fn is_blocked_for_long(blocked: &mut watch::Receiver<Option<String>>) -> String {
    loop {
        // The sender lives in `State`, so no wait fails.
        let reason = blocked.wait_for(Option::is_some).await.ok().and_then(|reason| reason.clone()).unwrap_or_default();
        let unblocked = blocked.wait_for(Option::is_none);
        if tokio::time::timeout(BLOCKED_MAX, unblocked).await.is_err() {
            return reason;
        }
    }
}

async fn say_goodbye(lapin: &lapin::Connection, state: &State) {
    let label = &state.label;
    state.acking.close();
    _ = tokio::time::timeout(GOODBYE_TIMEOUT, lapin.close(200, "done".into())).await;
    state.end(
        Error::unavailable(format!("the connection to RabbitMQ at {label} was closed"))
            .coded(codes::BROKER_CONNECTION_LOST),
    );
}

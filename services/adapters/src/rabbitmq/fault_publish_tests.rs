//! Publishes while the broker misbehaves: always an error in bounded time, and never a confirm that was none.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use paceline_core::ErrorKind;
use paceline_core::ports::broker::Confirm;

use super::fake_broker::{Act, FakeBroker, PUBLISH, message, within};
use super::fake_frames::{
    CORRELATION_ID, put, put_ack, put_close, put_content, put_short_string, put_u16, put_u64, with_text,
};
use super::message::Target;
use super::publisher::Publisher;

const TARGET: Target<'_> = Target { exchange: "test", routing_key: "jobs", reason: None };

// lapin speaks to the socket from a thread of its own, which paused time would overtake. So time is paused where nothing but time
// is waited for.

fn confirm_each(method: (u16, u16), channel: u16, tag: &AtomicU64, out: &mut Vec<u8>) -> Act {
    if method == PUBLISH {
        put_ack(out, channel, tag.fetch_add(1, Ordering::Relaxed) + 1, false);
    }
    Act::Answer
}

/// The broker gives back the message that the publisher called `index`.
fn put_return(out: &mut Vec<u8>, channel: u16, index: &[u8]) {
    put(out, channel, (60, 50), |out| {
        put_u16(out, 312);
        ["NO_ROUTE", "test", "jobs"].into_iter().for_each(|text| put_short_string(out, text));
    });
    put_content(out, channel, &with_text(CORRELATION_ID, index), b"{}");
}

#[tokio::test]
async fn a_broker_that_confirms_nothing_ends_a_publish_in_bounded_time_and_the_next_one_has_another_channel() {
    let (is_silent, tag) = (Arc::new(AtomicBool::new(true)), AtomicU64::new(0));
    let script_silent = is_silent.clone();
    let broker = FakeBroker::start(move |method, channel, out| match script_silent.load(Ordering::Relaxed) {
        true if method == PUBLISH => {
            tokio::time::pause();
            Act::Ignore
        }
        _ => confirm_each(method, channel, &tag, out),
    });
    let broker = broker.await;
    let publisher = broker.publisher();
    let start = tokio::time::Instant::now();
    let error = publisher.publish(TARGET, &[message("1")]).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable, "{error}");
    assert!(start.elapsed() < Duration::from_secs(11), "{:?}", start.elapsed());

    tokio::time::resume();
    is_silent.store(false, Ordering::Relaxed);
    assert_eq!(publisher.publish(TARGET, &[message("1")]).await.unwrap(), [Confirm::Confirmed]);
    assert_eq!(publisher.rebuilt(), 0, "what confirms nothing may be one queue");
}

/// A publish whose time passes once it waits for nothing but the broker's word.
async fn publish_blocked(publisher: &Publisher) -> paceline_core::Error {
    let when_blocked = async {
        // The word comes from lapin's thread, which signals nothing else, and the reason comes after it.
        while publisher.blocked().as_deref() != Some("low on memory") {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tokio::time::pause();
    };
    let batch = [message("1")];
    let (published, ()) = within(async { tokio::join!(publisher.publish(TARGET, &batch), when_blocked) }).await;
    tokio::time::resume();
    published.unwrap_err()
}

/// A broker that blocks publishers at the first publish.
async fn blocking_broker() -> FakeBroker {
    let script = |method: (u16, u16), _: u16, out: &mut Vec<u8>| {
        if method == PUBLISH {
            put(out, 0, (10, 60), |out| put_short_string(out, "low on memory"));
        }
        Act::Answer
    };
    FakeBroker::with_heartbeats(script).await
}

#[tokio::test]
async fn a_broker_that_blocks_publishers_is_named_as_the_reason() {
    let broker = blocking_broker().await;
    let publisher = broker.publisher();
    for _ in 0..2 {
        let start = tokio::time::Instant::now();
        let error = publish_blocked(&publisher).await;
        assert_eq!(error.kind, ErrorKind::Unavailable);
        assert!(error.message.contains("low on memory"), "{error}");
        assert_eq!(publisher.blocked().as_deref(), Some("low on memory"), "also while nothing is published");
        assert!(start.elapsed() < Duration::from_secs(11), "{:?}", start.elapsed());
    }
}

#[tokio::test]
async fn a_broker_that_blocks_publishers_keeps_its_connection_whatever_it_does_not_confirm_meanwhile() {
    let broker = blocking_broker().await;
    let publisher = broker.publisher();
    publish_blocked(&publisher).await;
    tokio::time::pause();
    tokio::time::sleep(Duration::from_secs(300)).await;
    tokio::time::resume();
    assert_eq!(publisher.blocked().as_deref(), Some("low on memory"), "the connection has ended");
    publish_blocked(&publisher).await;
    assert_eq!(publisher.rebuilt(), 0);
}

#[tokio::test]
async fn a_channel_that_closes_under_a_publish_fails_it_and_the_next_one_reconnects() {
    let (is_first, tag) = (AtomicBool::new(true), AtomicU64::new(0));
    let broker = FakeBroker::start(move |method, channel, out| {
        if method == PUBLISH && is_first.swap(false, Ordering::Relaxed) {
            put_close(out, channel, 404, "NOT_FOUND - no exchange");
            return Act::Ignore;
        }
        confirm_each(method, channel, &tag, out)
    });
    let broker = broker.await;
    let publisher = broker.publisher();
    let error = publisher.publish(TARGET, &[message("1")]).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable);
    assert!(error.message.contains("no exchange"), "{error}");
    assert_eq!(publisher.rebuilt(), 0);
    assert_eq!(publisher.publish(TARGET, &[message("1")]).await.unwrap(), [Confirm::Confirmed]);
    assert_eq!(publisher.rebuilt(), 1);
}

#[tokio::test]
async fn refusals_are_matched_to_their_messages() {
    let tag = AtomicU64::new(0);
    let broker = FakeBroker::start(move |method, channel, out| {
        if method == PUBLISH {
            // Of five, the second is refused, and all others confirmed with the last.
            match tag.fetch_add(1, Ordering::Relaxed) + 1 {
                2 => put(out, channel, (60, 120), |out| {
                    put_u64(out, 2);
                    out.push(0);
                }),
                5 => put_ack(out, channel, 5, true),
                _ => (),
            }
        }
        Act::Answer
    });
    let broker = broker.await;
    let batch = ["1", "2", "3", "4", "5"].map(message);
    let confirms = broker.publisher().publish(TARGET, &batch).await.unwrap();
    let refused: Vec<bool> = confirms.iter().map(|confirm| matches!(confirm, Confirm::Refused(_))).collect();
    assert_eq!(refused, [false, true, false, false, false]);
}

#[tokio::test]
async fn returned_messages_are_matched_to_their_publish() {
    let tag = AtomicU64::new(0);
    let broker = FakeBroker::start(move |method, channel, out| {
        // Of five, the third comes back, and all are confirmed with the last.
        if method == PUBLISH && tag.fetch_add(1, Ordering::Relaxed) + 1 == 5 {
            put_return(out, channel, b"2");
            put_ack(out, channel, 5, true);
        }
        Act::Answer
    });
    let broker = broker.await;
    let batch = ["1", "2", "3", "4", "5"].map(message);
    let confirms = broker.publisher().publish(TARGET, &batch).await.unwrap();
    let unroutable: Vec<bool> = confirms.iter().map(|confirm| *confirm == Confirm::Unroutable).collect();
    assert_eq!(unroutable, [false, false, true, false, false]);
}

/// lapin hangs the returned message on the first confirm that comes, be it the refusal of another one.
#[tokio::test]
async fn a_refusal_that_comes_with_anothers_return_is_still_a_refusal() {
    let tag = AtomicU64::new(0);
    let broker = FakeBroker::start(move |method, channel, out| {
        if method == PUBLISH && tag.fetch_add(1, Ordering::Relaxed) + 1 == 5 {
            put_return(out, channel, b"3");
            put(out, channel, (60, 120), |out| {
                put_u64(out, 2);
                out.push(0);
            });
            put_ack(out, channel, 5, true);
        }
        Act::Answer
    });
    let broker = broker.await;
    let batch = ["1", "2", "3", "4", "5"].map(message);
    let confirms = broker.publisher().publish(TARGET, &batch).await.unwrap();
    assert!(matches!(confirms[1], Confirm::Refused(_)), "{confirms:?}");
    assert_eq!(confirms[3], Confirm::Unroutable);
    assert!([0, 2, 4].into_iter().all(|index| confirms[index] == Confirm::Confirmed), "{confirms:?}");
}

/// Retries and dead letters are published alone, and a worker whose handlers all fail has thousands of them at once.
#[tokio::test]
async fn messages_that_wait_for_a_channel_go_together() {
    const SINGLES: u64 = 200;
    /// The most channels that one target may have at once.
    const CHANNELS: usize = super::singles::CHUNKS_MAX;
    #[derive(Default)]
    struct Seen {
        received: u64,
        rounds: u64,
        last_tags: BTreeMap<u16, u64>,
        unconfirmed: BTreeSet<u16>,
    }
    let seen = Arc::new(Mutex::new(Seen::default()));
    let script_seen = seen.clone();
    let broker = FakeBroker::start(move |method, channel, out| {
        if method != PUBLISH {
            return Act::Answer;
        }
        let mut seen = script_seen.lock().unwrap();
        seen.received += 1;
        *seen.last_tags.entry(channel).or_insert(0) += 1;
        seen.unconfirmed.insert(channel);
        // One opens the connection; then nothing is confirmed as long as a channel is free and messages are to come.
        if seen.received == 1 || seen.unconfirmed.len() == CHANNELS || seen.received == 1 + SINGLES {
            seen.rounds += 1;
            for channel in std::mem::take(&mut seen.unconfirmed) {
                put_ack(out, channel, seen.last_tags[&channel], true);
            }
        }
        Act::Answer
    });
    let broker = broker.await;
    let publisher = broker.publisher();
    publisher.publish(TARGET, &[message("first")]).await.unwrap();
    let batches: Vec<_> = (0..SINGLES).map(|index| [message(&index.to_string())]).collect();
    let all = futures::future::join_all(batches.iter().map(|batch| publisher.publish(TARGET, batch))).await;
    assert!(all.into_iter().all(|confirms| confirms.unwrap() == [Confirm::Confirmed]));
    assert_eq!(publisher.rebuilt(), 0);
    let rounds = seen.lock().unwrap().rounds;
    assert!(rounds <= SINGLES / CHANNELS as u64 / 2, "{rounds} round trips");
}

#[tokio::test]
async fn a_publish_that_is_late_while_others_are_confirmed_costs_no_connection() {
    let stuck_on = Mutex::new(None);
    let (seen, mut stuck) = tokio::sync::mpsc::unbounded_channel();
    let broker = FakeBroker::with_heartbeats(move |method, channel, out| {
        let mut stuck_on = stuck_on.lock().unwrap();
        match (method, *stuck_on) {
            (PUBLISH, None) => {
                *stuck_on = Some(channel);
                seen.send(()).unwrap();
                Act::Answer
            }
            (PUBLISH, Some(stuck)) if stuck != channel => {
                put_ack(out, channel, 1, false);
                Act::Answer
            }
            _ => Act::Answer,
        }
    });
    let broker = broker.await;
    let publisher = broker.publisher();
    let (stuck_batch, other) = ([message("stuck")], [message("other")]);
    let others = async {
        within(stuck.recv()).await.unwrap();
        assert_eq!(publisher.publish(TARGET, &other).await.unwrap(), [Confirm::Confirmed]);
        tokio::time::pause();
    };
    let (late, ()) = tokio::join!(publisher.publish(TARGET, &stuck_batch), others);
    tokio::time::resume();
    let error = late.unwrap_err();
    assert!(error.is_retryable() && error.message.contains("more to confirm"), "{error}");
    assert_eq!(publisher.rebuilt(), 0, "{error}");
}

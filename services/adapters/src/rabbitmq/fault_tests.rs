//! What happens when the broker misbehaves: always an error in bounded time, and always a way back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures::StreamExt as _;
use paceline_core::ErrorKind;
use paceline_core::clock::SystemClock;
use paceline_core::ports::broker::{Broker as _, Confirm};

use super::RabbitBroker;
use super::fake_broker::{Act, FakeBroker, message, put, put_ack, put_close};
use super::message::Target;
use super::wire::codec::{put_short_string, put_u64};

const PUBLISH: (u16, u16) = (60, 40);
const TARGET: Target<'_> = Target { exchange: "test", routing_key: "jobs", reason: None };

fn confirm_each(method: (u16, u16), channel: u16, tag: &AtomicU64, out: &mut Vec<u8>) -> Act {
    if method == PUBLISH {
        put_ack(out, channel, tag.fetch_add(1, Ordering::Relaxed) + 1, false);
    }
    Act::Answer
}

#[tokio::test]
async fn refused_logins_and_vhosts_say_what_to_do_without_the_password() {
    for (at, code, expected) in
        [((10, 11), 403, "check user and password"), ((10, 40), 530, "rabbitmqctl add_vhost jobs")]
    {
        let broker = FakeBroker::start(move |method, _, out| {
            if method != at {
                return Act::Answer;
            }
            put_close(out, 0, code, "NOT SO");
            Act::Ignore
        });
        let broker = broker.await;
        let error = RabbitBroker::connect(broker.config(), SystemClock::shared()).await.err().expect("refused");
        assert_eq!(error.kind, ErrorKind::FailedPrecondition);
        assert!(error.message.contains(expected) && error.message.contains("\"paul\""), "{error}");
        assert!(error.message.contains(&broker.address.to_string()) && !error.message.contains("geheim"), "{error}");
    }
}

#[tokio::test]
async fn nobody_there_is_unavailable() {
    let config = {
        let broker = FakeBroker::start(|_, _, _| Act::Answer).await;
        broker.config()
    };
    let error = RabbitBroker::connect(config, SystemClock::shared()).await.err().expect("nobody is there");
    assert_eq!(error.kind, ErrorKind::Unavailable, "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_silent_broker_ends_a_publish_in_bounded_time_and_the_next_one_reconnects() {
    let (is_silent, tag) = (Arc::new(AtomicBool::new(true)), AtomicU64::new(0));
    let script_silent = is_silent.clone();
    let broker = FakeBroker::start(move |method, channel, out| match script_silent.load(Ordering::Relaxed) {
        true if method == PUBLISH => Act::Ignore,
        _ => confirm_each(method, channel, &tag, out),
    });
    let broker = broker.await;
    let publisher = broker.publisher();
    let start = tokio::time::Instant::now();
    let error = publisher.publish(TARGET, &[message("1")]).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable, "{error}");
    assert!(start.elapsed() < Duration::from_secs(11), "{:?}", start.elapsed());

    is_silent.store(false, Ordering::Relaxed);
    assert_eq!(publisher.publish(TARGET, &[message("1")]).await.unwrap(), [Confirm::Confirmed]);
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_blocks_publishers_is_named_as_the_reason() {
    let broker = FakeBroker::with_heartbeats(|method, _, out| {
        if method == PUBLISH {
            put(out, 0, (10, 60), |out| put_short_string(out, "low on memory"));
        }
        Act::Answer
    });
    let broker = broker.await;
    let publisher = broker.publisher();
    for _ in 0..2 {
        let start = tokio::time::Instant::now();
        let error = publisher.publish(TARGET, &[message("1")]).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unavailable);
        assert!(error.message.contains("low on memory"), "{error}");
        assert_eq!(publisher.blocked().as_deref(), Some("low on memory"), "also while nothing is published");
        assert!(start.elapsed() < Duration::from_secs(11), "{:?}", start.elapsed());
    }
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
async fn a_lost_connection_or_channel_ends_the_stream_with_its_reason_and_consuming_anew_works() {
    let faults = AtomicU64::new(0);
    let broker = FakeBroker::start(move |method, channel, out| {
        // When the second consumer (of what was given up) is there, the trouble starts.
        if method != (60, 20) {
            return Act::Answer;
        }
        put(out, channel, (60, 21), |out| put_short_string(out, "m"));
        match faults.fetch_add(1, Ordering::Relaxed) {
            1 => Act::HangUp,
            3 => {
                put_close(out, channel, 406, "PRECONDITION_FAILED - timeout");
                Act::Ignore
            }
            5 => {
                put(out, channel, (60, 30), |out| {
                    put_short_string(out, "m");
                    out.push(1);
                });
                Act::Ignore
            }
            _ => Act::Ignore,
        }
    });
    let broker = broker.await;
    let rabbit = RabbitBroker::connect(broker.config(), SystemClock::shared()).await.unwrap();
    for expected in ["it closed the connection", "PRECONDITION_FAILED", "deleted or moved"] {
        let mut consumer = rabbit.consume("jobs", "main", 10).await.unwrap();
        let error = consumer.deliveries.next().await.unwrap().err().expect("a reason");
        assert!(error.is_retryable() && error.message.contains(expected), "{error}");
        assert!(consumer.deliveries.next().await.is_none());
        consumer.close().await;
    }
    assert!(rabbit.consume("jobs", "main", 10).await.is_ok());
    assert_eq!(rabbit.rebuilt(), 1, "one of the three faults cost the connection");
}

#[tokio::test(start_paused = true)]
async fn a_dead_peer_is_noticed_by_its_silence() {
    let broker = FakeBroker::start(|_, _, _| Act::Answer).await;
    let rabbit = RabbitBroker::connect(broker.config(), SystemClock::shared()).await.unwrap();
    let mut consumer = rabbit.consume("jobs", "main", 10).await.unwrap();
    let start = tokio::time::Instant::now();
    // The fake sends no heartbeats.
    let error = consumer.deliveries.next().await.unwrap().err().expect("a reason");
    assert!(error.message.contains("silent"), "{error}");
    assert!(start.elapsed() <= Duration::from_secs(10), "{:?}", start.elapsed());
}

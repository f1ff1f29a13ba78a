//! What happens when the broker misbehaves: always an error in bounded time, and always a way back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures::StreamExt as _;
use paceline_core::ErrorKind;
use paceline_core::clock::SystemClock;
use paceline_core::ports::broker::{Broker as _, Confirm};

use super::RabbitBroker;
use super::fake_broker::{
    Act, CHANNELS_MAX, FakeBroker, message, put, put_ack, put_close, put_content, put_delivery, put_short_string,
    put_u16, put_u64,
};
use super::message::Target;
use super::publisher::Publisher;

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

// lapin speaks to the socket from a thread of its own, which paused time would overtake. So time is paused where nothing but time
// is waited for.

#[tokio::test]
async fn a_silent_broker_ends_a_publish_in_bounded_time_and_the_next_one_reconnects() {
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
}

/// A publish whose time passes once it waits for nothing but the broker's word.
async fn publish_blocked(publisher: &Publisher) -> paceline_core::Error {
    let when_blocked = async {
        // The word comes from lapin's thread, which signals nothing else.
        while publisher.blocked().is_none() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tokio::time::pause();
    };
    let batch = [message("1")];
    let (published, ()) = tokio::join!(publisher.publish(TARGET, &batch), when_blocked);
    tokio::time::resume();
    published.unwrap_err()
}

#[tokio::test]
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
        let error = publish_blocked(&publisher).await;
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
        let tag = if faults.load(Ordering::Relaxed) % 2 == 0 { "m" } else { "g" };
        put(out, channel, (60, 21), |out| put_short_string(out, tag));
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

#[tokio::test]
async fn a_dead_peer_is_noticed_by_its_silence() {
    let broker = FakeBroker::start(|_, _, _| Act::Answer).await;
    let rabbit = RabbitBroker::connect(broker.config(), SystemClock::shared()).await.unwrap();
    let mut consumer = rabbit.consume("jobs", "main", 10).await.unwrap();
    // The fake sends no heartbeats. lapin measures silence by the system's clock, so this takes its seconds.
    let end = tokio::time::timeout(Duration::from_secs(60), consumer.deliveries.next()).await;
    let error = end.expect("it is noticed").unwrap().err().expect("a reason");
    assert!(error.message.contains("silent"), "{error}");
}

#[tokio::test]
async fn a_port_that_speaks_something_else_is_named() {
    for (greeting, expected) in [
        (b"\x15\x03\x03\x00\x02\x02\x0a".as_slice(), "amqps://"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "check the port"),
        (b"AMQP\x00\x01\x00\x00", "check the port"),
        (b"", "closed the connection during the login"),
    ] {
        let broker = FakeBroker::that_says(greeting).await;
        let error = RabbitBroker::connect(broker.config(), SystemClock::shared()).await.err().expect("not a broker");
        assert!(error.message.contains(expected), "{error}");
        assert!(error.message.contains(&broker.address.to_string()) && !error.message.contains("geheim"), "{error}");
    }
}

/// lapin's thread lives as long as its socket, so an attempt that was given up must not leave one behind.
#[tokio::test]
async fn a_broker_that_is_silent_in_the_handshake_is_given_up_with_its_socket() {
    let mut broker = FakeBroker::that_is_silent().await;
    let config = broker.config();
    let connecting = RabbitBroker::connect(config, SystemClock::shared());
    let when_greeted = async {
        broker.greeted().await;
        tokio::time::pause();
    };
    let (connected, ()) = tokio::join!(connecting, when_greeted);
    tokio::time::resume();
    let error = connected.err().expect("no answer");
    assert!(error.is_retryable() && error.message.contains("did not answer within 5 s"), "{error}");
    broker.hung_up().await;
}

#[tokio::test]
async fn returned_messages_are_matched_to_their_publish() {
    let tag = AtomicU64::new(0);
    let broker = FakeBroker::start(move |method, channel, out| {
        // Of five, the third comes back, and all are confirmed with the last.
        if method == PUBLISH && tag.fetch_add(1, Ordering::Relaxed) + 1 == 5 {
            put(out, channel, (60, 50), |out| {
                put_u16(out, 312);
                ["NO_ROUTE", "test", "jobs"].into_iter().for_each(|text| put_short_string(out, text));
            });
            put_content(out, channel, &with_text(CORRELATION_ID, b"2"), b"{}");
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
            put(out, channel, (60, 50), |out| {
                put_u16(out, 312);
                ["NO_ROUTE", "test", "jobs"].into_iter().for_each(|text| put_short_string(out, text));
            });
            put_content(out, channel, &with_text(CORRELATION_ID, b"3"), b"{}");
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

/// A late answer would make a consumer that takes jobs and that nobody reads.
#[tokio::test]
async fn an_attempt_to_consume_that_is_given_up_closes_its_channel() {
    let (seen, mut closed) = tokio::sync::mpsc::unbounded_channel();
    let broker = FakeBroker::with_heartbeats(move |method, channel, _| match method {
        (60, 20) => {
            tokio::time::pause();
            seen.send((method, channel)).unwrap();
            Act::Ignore
        }
        (20, 40) => {
            _ = seen.send((method, channel));
            Act::Answer
        }
        _ => Act::Answer,
    });
    let broker = broker.await;
    let rabbit = RabbitBroker::connect(broker.config(), SystemClock::shared()).await.unwrap();
    let error = rabbit.consume("jobs", "main", 10).await.err().expect("no answer");
    tokio::time::resume();
    assert!(error.is_retryable() && error.message.contains("did not answer within 10 s"), "{error}");
    let (_, asked_on) = closed.recv().await.unwrap();
    while closed.recv().await.unwrap() != ((20, 40), asked_on) {}
}

/// What was asked there may still be answered, and would be taken for the answer to the next question.
#[tokio::test]
async fn a_channel_with_an_open_question_is_not_used_again() {
    let (asked, is_silent) = (Arc::new(std::sync::Mutex::new(Vec::new())), Arc::new(AtomicBool::new(true)));
    let (script_asked, script_silent) = (asked.clone(), is_silent.clone());
    let broker = FakeBroker::with_heartbeats(move |method, channel, _| {
        if method != (50, 10) {
            return Act::Answer;
        }
        script_asked.lock().unwrap().push(channel);
        match script_silent.load(Ordering::Relaxed) {
            true => {
                if script_asked.lock().unwrap().len() == 1 {
                    tokio::time::pause();
                }
                Act::Ignore
            }
            false => Act::Answer,
        }
    });
    let broker = broker.await;
    let rabbit = RabbitBroker::connect(broker.config(), SystemClock::shared()).await.unwrap();
    let error = rabbit.depth("jobs", "main").await.unwrap_err();
    tokio::time::resume();
    assert!(error.message.contains("did not answer"), "{error}");
    is_silent.store(false, Ordering::Relaxed);
    assert_eq!(rabbit.depth("jobs", "main").await.unwrap().ready, 0);
    assert_eq!(rabbit.rebuilt(), 0);
    let asked = asked.lock().unwrap();
    assert_ne!(asked.first(), asked.last(), "on another channel");
}

const CORRELATION_ID: u16 = 1 << 10;
const MESSAGE_ID: u16 = 1 << 7;

/// Properties with one text.
fn with_text(flag: u16, text: &[u8]) -> Vec<u8> {
    let mut properties = flag.to_be_bytes().to_vec();
    properties.push(u8::try_from(text.len()).unwrap());
    properties.extend_from_slice(text);
    properties
}

#[tokio::test]
async fn a_message_that_lapin_cannot_read_arrives_without_its_properties_and_costs_no_connection() {
    let consumers = AtomicU64::new(0);
    let broker = FakeBroker::start(move |method, channel, out| {
        if method == (60, 20) && consumers.fetch_add(1, Ordering::Relaxed) == 1 {
            put(out, channel, (60, 21), |out| put_short_string(out, "g"));
            put_delivery(out, channel, 1, &with_text(MESSAGE_ID, b"caf\xe9"), b"one");
            put_delivery(out, channel, 2, &with_text(MESSAGE_ID, b"run-2"), b"two");
            return Act::Ignore;
        }
        Act::Answer
    });
    let broker = broker.await;
    let rabbit = RabbitBroker::connect(broker.config(), SystemClock::shared()).await.unwrap();
    let mut consumer = rabbit.consume("jobs", "main", 10).await.unwrap();
    for (id, body) in [("", b"one"), ("run-2", b"two")] {
        let message = consumer.deliveries.next().await.unwrap().unwrap().message;
        assert_eq!((message.id.as_str(), &message.body[..]), (id, body.as_slice()));
    }
    assert_eq!(rabbit.rebuilt(), 0);
}

/// lapin answers the opening of a channel with the error of an earlier one of the same number.
#[tokio::test]
async fn a_connection_outlives_many_channels_that_the_broker_closed() {
    let asked = AtomicU64::new(0);
    let broker = FakeBroker::start(move |method, channel, out| {
        // Each question about a queue closes its channel, until there were more of them than numbers.
        if method == (50, 10) && asked.fetch_add(1, Ordering::Relaxed) < 2 * u64::from(CHANNELS_MAX) {
            put_close(out, channel, 404, "NOT_FOUND - no queue");
            return Act::Ignore;
        }
        Act::Answer
    });
    let broker = broker.await;
    let rabbit = RabbitBroker::connect(broker.config(), SystemClock::shared()).await.unwrap();
    let mut not_found = 0;
    let depth = loop {
        match rabbit.depth("jobs", "main").await {
            Ok(depth) => break depth,
            Err(error) if error.kind == ErrorKind::NotFound => not_found += 1,
            Err(error) => assert!(error.message.contains("closed too many of its channels"), "{error}"),
        }
    };
    assert_eq!((depth.ready, not_found), (0, 2 * CHANNELS_MAX), "each question has its own answer");
    assert!(rabbit.rebuilt() <= 3, "a connection serves until its numbers are used up: {}", rabbit.rebuilt());
}

#[tokio::test]
async fn more_consumers_than_the_connection_has_channels_are_refused_with_the_remedy() {
    let broker = FakeBroker::start(|_, _, _| Act::Answer).await;
    let rabbit = RabbitBroker::connect(broker.config(), SystemClock::shared()).await.unwrap();
    let mut consumers = Vec::new();
    let error = loop {
        match rabbit.consume("jobs", "main", 10).await {
            Ok(consumer) => consumers.push(consumer),
            Err(error) => break error,
        }
        assert!(consumers.len() <= usize::from(CHANNELS_MAX));
    };
    assert_eq!(error.kind, ErrorKind::ResourceExhausted, "{error}");
    assert!(error.message.contains("--consumers") && error.message.contains("channel_max"), "{error}");
    consumers.pop();
    // The number is free when the broker has answered the close.
    while let Err(error) = rabbit.consume("jobs", "main", 10).await {
        assert_eq!(error.kind, ErrorKind::ResourceExhausted, "{error}");
        tokio::task::yield_now().await;
    }
}

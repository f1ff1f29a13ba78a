//! Connections and consumers while the broker misbehaves: always an error in bounded time, and always a way back.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Once};
use std::time::Duration;

use futures::StreamExt as _;
use paceline_core::ErrorKind;
use paceline_core::clock::SystemClock;
use paceline_core::ports::broker::Broker as _;

use super::RabbitBroker;
use super::fake_broker::{Act, CHANNELS_MAX, FakeBroker, within};
use super::fake_frames::{MESSAGE_ID, put, put_close, put_delivery, put_short_string, with_text};

// lapin speaks to the socket from a thread of its own, which paused time would overtake. So time is paused where nothing but time
// is waited for.

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

#[tokio::test]
async fn a_lost_connection_or_channel_ends_the_stream_with_its_reason_and_consuming_anew_works() {
    let faults = AtomicU64::new(0);
    let broker = FakeBroker::start(move |method, channel, out| {
        // When the second consumer (of what was given up) is there, the trouble starts.
        if method != (60, 20) {
            return Act::Answer;
        }
        let tag = if faults.load(Ordering::Relaxed).is_multiple_of(2) { "m" } else { "g" };
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
    within(broker.hung_up()).await;
}

/// A late answer would make a consumer that takes jobs and that nobody reads.
#[tokio::test]
async fn an_attempt_to_consume_that_is_given_up_closes_its_channel() {
    let (seen, mut closed) = tokio::sync::mpsc::unbounded_channel();
    let asked = Once::new();
    let broker = FakeBroker::with_heartbeats(move |method, channel, _| match method {
        (60, 20) => {
            // Two consumers are asked for, and time can be paused once.
            asked.call_once(tokio::time::pause);
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
    let closed_too = async {
        let asked_on = loop {
            // The channel on which the queues were declared is closed before.
            if let ((60, 20), channel) = closed.recv().await.unwrap() {
                break channel;
            }
        };
        while closed.recv().await.unwrap() != ((20, 40), asked_on) {}
    };
    within(closed_too).await;
}

/// The open question may still be answered, and the answer would be taken for that to the next question.
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
    let when_free = async {
        while let Err(error) = rabbit.consume("jobs", "main", 10).await {
            assert_eq!(error.kind, ErrorKind::ResourceExhausted, "{error}");
            tokio::task::yield_now().await;
        }
    };
    within(when_free).await;
    assert_eq!(rabbit.rebuilt(), 0);
}

/// A queue that is refused costs a channel a time, and the channels of a connection serve all queues.
#[tokio::test]
async fn many_consumers_of_a_queue_that_is_refused_ask_once() {
    let (opened, refused) = (Arc::new(AtomicU64::new(0)), Once::new());
    let script_opened = opened.clone();
    let broker = FakeBroker::with_heartbeats(move |method, channel, out| match method {
        (20, 10) => {
            script_opened.fetch_add(1, Ordering::Relaxed);
            Act::Answer
        }
        (60, 20) => {
            refused.call_once(|| put_close(out, channel, 403, "ACCESS_REFUSED - no"));
            Act::Ignore
        }
        _ => Act::Answer,
    });
    let broker = broker.await;
    let rabbit = RabbitBroker::connect(broker.config(), SystemClock::shared()).await.unwrap();
    let first = rabbit.consume("jobs", "main", 10).await.err().expect("refused");
    assert!(first.message.contains("set_permissions"), "{first}");
    // The refusal is remembered for a time that a slow machine must not let pass. Nothing is asked of the broker meanwhile.
    tokio::time::pause();
    let opened_first = opened.load(Ordering::Relaxed);
    let all = futures::future::join_all((0..64).map(|_| rabbit.consume("jobs", "main", 10))).await;
    assert!(all.into_iter().all(|refused| refused.err().is_some_and(|error| error.message == first.message)));
    assert_eq!(opened.load(Ordering::Relaxed), opened_first, "each attempt has a channel of its own");
    assert_eq!(rabbit.rebuilt(), 0);
}

/// lapin takes the answer to its own close for one of a channel that never was, if the broker closed that channel meanwhile.
#[tokio::test]
async fn two_goodbyes_that_cross_cost_no_connection() {
    let broker = FakeBroker::start(move |method, channel, out| {
        if method == (20, 40) {
            put_close(out, channel, 404, "NOT_FOUND - no queue");
        }
        Act::Answer
    });
    let broker = broker.await;
    let rabbit = RabbitBroker::connect(broker.config(), SystemClock::shared()).await.unwrap();
    for _ in 0..3 {
        let consumer = rabbit.consume("jobs", "main", 10).await.unwrap();
        consumer.close().await;
        assert_eq!(rabbit.depth("jobs", "main").await.unwrap().ready, 0);
    }
    assert_eq!(rabbit.rebuilt(), 0);
}

//! Producers that fail, hang and come back, on paused time.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::future::join_all;
use paceline_proto::PROTOCOL;
use paceline_runtime::lifecycle::Shutdown;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::stub::{FAILS, HANGS, Stub, WELL, checked, in_time, publish, stubs};
use crate::producers::address::ProducerAddress;
use crate::producers::pool::{Producers, WAIT_MAX};
use crate::producers::pooled::PooledProducer;
use crate::producers::remote::Caller;

#[tokio::test(start_paused = true)]
async fn a_failed_range_goes_to_another_at_once_and_the_failing_one_is_left_out() {
    let (producers, [first, second]) = stubs();
    first.mode.store(FAILS, Ordering::Relaxed);
    let begun = Instant::now();
    for _ in 0..100 {
        publish(&producers).await.unwrap();
    }
    assert_eq!(begun.elapsed(), Duration::ZERO, "nobody waited");
    assert_eq!((first.calls.load(Ordering::Relaxed), second.calls.load(Ordering::Relaxed)), (3, 100));
    producers.check().unwrap();
}

#[tokio::test(start_paused = true)]
async fn while_all_are_away_one_call_at_a_time_tries_and_all_go_on_when_it_succeeds() {
    let (producers, [only]) = stubs();
    only.mode.store(FAILS, Ordering::Relaxed);
    let begun = Instant::now();
    let outcomes = join_all((0..50).map(|_| publish(&producers))).await;
    assert!(outcomes.iter().all(Result::is_err) && begun.elapsed() <= WAIT_MAX);
    assert!(producers.check().unwrap_err().message.contains("away"));
    // Three to open it, then one at the end of each cool-down of 0.1, 0.2, 0.4 … s, each of which jitter may halve; a call
    // that was a probe and failed ends its publish.
    let calls = only.calls.load(Ordering::Relaxed);
    assert!(calls <= 3 + 7, "{calls} calls in {:?}", begun.elapsed());

    let back = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        only.mode.store(WELL, Ordering::Relaxed);
    };
    let (outcomes, ()) = tokio::join!(join_all((0..50).map(|_| publish(&producers))), back);
    let late = outcomes.iter().filter(|outcome| outcome.is_err()).count();
    assert!(late <= 4, "only those whose call was the probe: {late}");
    producers.check().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_is_given_up_does_not_close_the_door_for_ever() {
    let (producers, [only]) = stubs();
    only.mode.store(FAILS, Ordering::Relaxed);
    for _ in 0..3 {
        publish(&producers).await.unwrap_err();
    }
    only.mode.store(HANGS, Ordering::Relaxed);
    tokio::time::timeout(WAIT_MAX * 2, publish(&producers)).await.expect_err("it hangs, and its caller gives up");
    only.mode.store(WELL, Ordering::Relaxed);
    publish(&producers).await.unwrap();
}

/// A server that takes connections and says nothing, as a stopped process does.
#[tokio::test]
async fn a_producer_that_hangs_loses_its_ranges_to_another() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", silent.local_addr().unwrap());
    let changed = Arc::new(Notify::new());
    let place = ProducerAddress { address: address.clone(), origin: None };
    let hung = PooledProducer::remote(
        &address,
        Caller::new(PROTOCOL, None).unwrap().connect(&place).unwrap(),
        changed.clone(),
    );
    let well = PooledProducer::local("well", Arc::new(Stub::default()), changed.clone());
    let producers = Producers::new(vec![hung, well], changed);
    let shutdown = Shutdown::new();
    let publishing = async {
        let published = publish(&producers).await;
        shutdown.trigger();
        published
    };
    let (published, ()) = tokio::join!(publishing, producers.probe(shutdown.clone()));
    assert_eq!(published.unwrap(), "stub");
    let members = producers.members();
    assert!(!members[0].condition().is_usable && members[1].condition().is_usable);
}

#[tokio::test(start_paused = true)]
async fn a_range_that_is_the_probe_is_not_held_either() {
    let (producers, hung, shutdown) = checked();
    hung.mode.store(FAILS, Ordering::Relaxed);
    while hung.calls.load(Ordering::Relaxed) < 3 {
        publish(&producers).await.unwrap();
    }
    hung.mode.store(HANGS, Ordering::Relaxed);
    tokio::time::sleep(WAIT_MAX).await;
    let publishing = async {
        // One of the two goes to the one that hangs, whoever's turn it is.
        tokio::join!(publish(&producers), publish(&producers))
    };
    let both = async {
        let (one, other) = publishing.await;
        shutdown.trigger();
        one.and(other).unwrap();
    };
    let begun = Instant::now();
    in_time(both, producers.probe(shutdown.clone())).await;
    assert_eq!(hung.calls.load(Ordering::Relaxed), 4);
    assert!(begun.elapsed() <= Duration::from_secs(2), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn no_range_is_held_for_longer_than_two_seconds_by_one_that_hangs() {
    let (producers, hung, shutdown) = checked();
    let publishing = async {
        hung.mode.store(HANGS, Ordering::Relaxed);
        for _ in 0..1_000 {
            let begun = Instant::now();
            publish(&producers).await.unwrap();
            assert!(begun.elapsed() <= Duration::from_secs(2), "{:?}", begun.elapsed());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        hung.mode.store(WELL, Ordering::Relaxed);
        while !producers.members()[0].condition().is_usable {
            publish(&producers).await.unwrap();
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        shutdown.trigger();
    };
    in_time(publishing, producers.probe(shutdown.clone())).await;
}

/// The states are those that `/readyz` shows.
#[tokio::test(start_paused = true)]
async fn states_name_each_with_its_reason() {
    let (producers, [first, _second]) = stubs();
    first.mode.store(FAILS, Ordering::Relaxed);
    for _ in 0..6 {
        publish(&producers).await.unwrap();
    }
    let states = producers.states();
    assert_eq!((&states[0]["ok"], &states[0]["why"]), (&false.into(), &"away".into()));
    assert_eq!(states[1]["ok"], true);
}

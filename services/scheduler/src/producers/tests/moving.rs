//! Producers that come and go with the addresses of a name, on paused time.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use super::stage::{Dns, KNOWN_WITHIN, NAME, stage};
use crate::producers::admission::{Ask, Turned};

#[tokio::test(start_paused = true)]
async fn all_addresses_of_a_name_are_used_and_new_ones_within_ten_seconds() {
    let stage = stage(&[NAME], Dns::Has(vec![1, 2]));
    stage
        .play(async {
            stage.publish_all(100).await;
            assert_eq!((stage.calls(1), stage.calls(2)), (50, 50));
            stage.dns.set(Dns::Has(vec![3, 1, 2]));
            tokio::time::sleep(KNOWN_WITHIN).await;
            stage.publish_all(90).await;
            assert_eq!((stage.calls(1), stage.calls(2), stage.calls(3)), (80, 80, 30));
            assert_eq!(stage.producers.counts(), (3, 3));
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn one_that_is_gone_gets_no_more_ranges_and_what_hangs_there_goes_to_another() {
    let stage = stage(&[NAME], Dns::Has(vec![1]));
    stage
        .play(async {
            stage.publish_all(1).await;
            stage.machine(1).hangs.store(true, Ordering::Relaxed);
            let begun = Instant::now();
            let moving = async {
                tokio::time::sleep(Duration::from_secs(1)).await;
                stage.dns.set(Dns::Has(vec![2]));
                stage.machine(1).is_dead.store(true, Ordering::Relaxed);
            };
            // The range fails at the one that is gone; whoever sends it sends it again.
            let sending = async { while stage.publish().await.is_err() {} };
            tokio::join!(sending, moving);
            assert!(begun.elapsed() <= Duration::from_secs(1) + KNOWN_WITHIN, "{:?}", begun.elapsed());
            assert_eq!(stage.calls(2), 1);
            tokio::time::sleep(KNOWN_WITHIN).await;
            assert_eq!(stage.addresses(), ["http://10.0.0.2:50052"]);
            let before = stage.calls(1);
            stage.publish_all(20).await;
            assert_eq!((stage.calls(1), stage.calls(2)), (before, 21));
        })
        .await;
}

/// A range in flight to a producer that stops in order arrives there, and nobody publishes it twice, however slow the broker is.
#[tokio::test(start_paused = true)]
async fn a_call_to_one_that_is_gone_and_well_ends_where_it_is() {
    let stage = stage(&[NAME], Dns::Has(vec![1]));
    stage
        .play(async {
            stage.publish_all(1).await;
            let member = stage.producers.members()[0].clone();
            let slow = |seconds| {
                member.call(Ask::Question, move |_| async move {
                    tokio::time::sleep(Duration::from_secs(seconds)).await;
                    Ok(7)
                })
            };
            let leaving = async {
                stage.dns.set(Dns::Has(vec![2]));
                tokio::time::sleep(KNOWN_WITHIN).await;
                assert_eq!(stage.addresses(), ["http://10.0.0.2:50052"]);
            };
            let (twelve, thirty, ()) = tokio::join!(slow(12), slow(30), leaving);
            assert_eq!((twelve.unwrap().unwrap(), thirty.unwrap().unwrap()), (7, 7));
            assert_eq!(member.call(Ask::Question, |_| async { Ok(7) }).await.unwrap_err(), Turned::LeftOut);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn one_that_comes_back_soon_is_the_same_with_its_breaker_and_window() {
    let stage = stage(&[NAME], Dns::Has(vec![1]));
    let moved = async |last: u8| {
        stage.dns.set(Dns::Has(vec![last]));
        tokio::time::sleep(KNOWN_WITHIN).await;
        assert_eq!(stage.addresses(), [format!("http://10.0.0.{last}:50052")]);
        stage.producers.members()[0].clone()
    };
    stage
        .play(async {
            let first = moved(1).await;
            assert!(!Arc::ptr_eq(&first, &moved(2).await));
            assert!(Arc::ptr_eq(&first, &moved(1).await));
            stage.publish_all(1).await;
            stage.machine(1).is_dead.store(true, Ordering::Relaxed);
            tokio::time::sleep(KNOWN_WITHIN).await;
            assert_eq!(stage.producers.counts(), (0, 1), "it is asked for its health again");
            moved(2).await;
            tokio::time::sleep(Duration::from_secs(60)).await;
            assert!(!Arc::ptr_eq(&first, &moved(1).await), "it is forgotten");
            assert_eq!(stage.producers.counts(), (0, 1));
        })
        .await;
}

/// The address is in DNS all the time.
#[tokio::test(start_paused = true)]
async fn an_address_that_never_answers_is_left_out_in_bounded_time() {
    let stage = stage(&[NAME], Dns::Has(vec![1, 2]));
    stage.machine(1).is_dead.store(true, Ordering::Relaxed);
    stage
        .play(async {
            for _ in 0..200 {
                let begun = Instant::now();
                stage.publish().await.unwrap();
                assert!(begun.elapsed() <= Duration::from_secs(2), "{:?}", begun.elapsed());
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            assert_eq!(stage.producers.counts(), (1, 2));
            assert!(stage.calls(2) == 200 && stage.calls(1) <= 20, "{}", stage.calls(1));
        })
        .await;
}

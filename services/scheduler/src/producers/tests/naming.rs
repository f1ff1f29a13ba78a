//! The answers of DNS, and what is said of producers that nobody knows yet, on paused time.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use paceline_core::ErrorKind;
use tokio::time::Instant;

use super::stage::{Dns, KNOWN_WITHIN, NAME, stage};
use crate::producers::pool::WAIT_MAX;
use crate::producers::pooled::PooledProducer;
use crate::producers::standing::{REASON_CHARS_MAX, shortened};

const OTHER: &str = "http://10.0.0.9:50052";

/// A server of DNS that answers some of many addresses at a time.
#[tokio::test(start_paused = true)]
async fn answers_that_change_all_the_time_change_no_producer() {
    let stage = stage(&[NAME], Dns::Has(vec![1, 2, 3]));
    stage
        .play(async {
            stage.publish_all(3).await;
            let before = stage.producers.members();
            for last in (1..=3).cycle().take(30) {
                stage.dns.set(Dns::Has(vec![last, 1 + last % 3]));
                tokio::time::sleep(Duration::from_secs(3)).await;
            }
            let after = stage.producers.members();
            assert!(after.len() == 3 && before.iter().zip(&*after).all(|(before, after)| Arc::ptr_eq(before, after)));
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn the_error_of_a_thousand_producers_is_short() {
    let addresses: Vec<_> =
        (0..1_000).map(|number| format!("http://10.1.{}.{}:50052", number / 250, number % 250)).collect();
    let entries: Vec<_> = addresses.iter().map(String::as_str).collect();
    let stage = stage(&entries, Dns::Fails);
    for address in &addresses {
        stage.machines.lock().unwrap()[address].is_dead.store(true, Ordering::Relaxed);
    }
    stage
        .play(async {
            tokio::time::sleep(KNOWN_WITHIN).await;
            let error = stage.producers.check().unwrap_err();
            assert!(error.message.len() < 4_096, "{} bytes", error.message.len());
            let words = ["http://10.1.0.0:50052: no answer", "and 997 more"];
            assert!(words.iter().all(|words| error.message.contains(words)), "{error}");
        })
        .await;
    let long = shortened("ä".repeat(100_000));
    assert_eq!(long.chars().count(), REASON_CHARS_MAX + 1);
}

#[tokio::test(start_paused = true)]
async fn a_name_that_does_not_resolve_yet_is_waited_for_and_said() {
    let stage = stage(&[NAME], Dns::Fails);
    let unknown = stage.producers.check().unwrap_err();
    assert!(unknown.message.contains("http://producer:50052: it was not looked up yet"), "{unknown}");
    stage
        .play(async {
            let begun = Instant::now();
            let error = stage.publish().await.unwrap_err();
            assert!(begun.elapsed() <= WAIT_MAX && error.kind == ErrorKind::Unavailable, "{:?}", begun.elapsed());
            assert!(error.message.contains("http://producer:50052: SERVFAIL"), "{error}");
            assert_eq!(stage.producers.counts(), (0, 1), "unknown is not zero");
            assert_eq!(stage.producers.name_states()[0]["why"], "SERVFAIL");
            stage.dns.set(Dns::Has(vec![]));
            tokio::time::sleep(KNOWN_WITHIN).await;
            assert!(stage.producers.check().unwrap_err().message.contains("has no address now"));
            stage.dns.set(Dns::Has(vec![1]));
            tokio::time::sleep(KNOWN_WITHIN).await;
            stage.publish_all(1).await;
            stage.producers.check().unwrap();
            assert_eq!(stage.producers.counts(), (1, 1));
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn no_answer_and_none_are_no_news_about_the_addresses() {
    let stage = stage(&[NAME], Dns::Has(vec![1, 2]));
    stage
        .play(async {
            stage.publish_all(2).await;
            for (dns, words) in
                [(Dns::Fails, "SERVFAIL"), (Dns::Has(vec![]), "has no address now"), (Dns::IsSilent, "is DNS away?")]
            {
                stage.dns.set(dns);
                tokio::time::sleep(KNOWN_WITHIN * 6).await;
                stage.publish_all(10).await;
                stage.producers.check().unwrap();
                assert_eq!(stage.producers.counts(), (2, 2));
                let state = &stage.producers.name_states()[0];
                assert!(state["ok"] == false && state["why"].as_str().unwrap().contains(words), "{state}");
                assert_eq!(state["addresses"].as_array().unwrap().len(), 2);
            }
            stage.dns.set(Dns::Has(vec![2]));
            tokio::time::sleep(KNOWN_WITHIN).await;
            assert_eq!(stage.addresses(), ["http://10.0.0.2:50052"]);
            assert_eq!(stage.producers.name_states()[0]["ok"], true);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn names_and_addresses_mix_and_the_same_producer_counts_once() {
    let stage = stage(&[OTHER, NAME, "http://10.0.0.1:50052"], Dns::Has(vec![1, 2, 9]));
    stage
        .play(async {
            tokio::time::sleep(KNOWN_WITHIN).await;
            assert_eq!(stage.addresses(), [OTHER, "http://10.0.0.1:50052", "http://10.0.0.2:50052"]);
            let before = stage.producers.members();
            stage.dns.set(Dns::Has(vec![2]));
            tokio::time::sleep(KNOWN_WITHIN).await;
            let after = stage.producers.members();
            let stays = |member: &Arc<PooledProducer>| after.iter().any(|other| Arc::ptr_eq(member, other));
            assert!(after.len() == 3 && before.iter().all(stays), "each with its breaker and its window");
        })
        .await;
}

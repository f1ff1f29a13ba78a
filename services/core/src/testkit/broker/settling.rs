//! Cases of settling: ack, retry, dead, give back, and no effect at all when the consumer is gone.

use std::time::Duration;

use tokio::time::Instant;

use super::harness::{BrokerHarness, GROUP, QUEUE};
use super::support::{consume, declared, depth, depth_becomes, message, next, publish, seq, seqs, take};
use crate::ports::broker::{DeadLetter, Delivery, Message};

pub async fn a_slow_job_does_not_hold_back_its_neighbours(harness: &dyn BrokerHarness) {
    let broker = declared(harness).await;
    publish(&broker, 0..50).await;
    let mut consumer = consume(&broker, 4).await;
    let slow = next(&mut consumer).await;
    for _ in 1..50 {
        next(&mut consumer).await.ack();
    }
    depth_becomes(&broker, GROUP, depth(0, 1, 0, 0)).await;
    drop(consumer);
    depth_becomes(&broker, GROUP, depth(1, 0, 0, 0)).await;
    let back = next(&mut consume(&broker, 10).await).await;
    assert_eq!((seq(&back), back.redeliveries), (seq(&slow), 1));
}

pub async fn only_what_was_acked_is_settled(harness: &dyn BrokerHarness) {
    let broker = declared(harness).await;
    publish(&broker, 0..40).await;
    let mut consumer = consume(&broker, 40).await;
    let mut taken = take(&mut consumer, 40).await;
    // Not in order: every third, from the back.
    taken.reverse();
    let (acked, kept): (Vec<Delivery>, Vec<Delivery>) =
        taken.into_iter().partition(|delivery| seq(delivery).is_multiple_of(3));
    acked.into_iter().for_each(Delivery::ack);
    drop(consumer);

    depth_becomes(&broker, GROUP, depth(26, 0, 0, 0)).await;
    let back = take(&mut consume(&broker, 100).await, 26).await;
    assert_eq!(seqs(&back), seqs(&kept));
}

pub async fn a_retry_waits_and_counts_the_attempt(harness: &dyn BrokerHarness) {
    let broker = declared(harness).await;
    publish(&broker, 0..1).await;
    let mut consumer = consume(&broker, 10).await;
    let first = next(&mut consumer).await;
    let asked = Instant::now();
    first.retry(Duration::from_secs(1)).await.unwrap();
    depth_becomes(&broker, GROUP, depth(0, 0, 1, 0)).await;

    let second = next(&mut consumer).await;
    assert!(asked.elapsed() >= Duration::from_millis(990), "came after {:?}", asked.elapsed());
    assert_eq!(second.message, Message { attempt: 2, ..message(0) });
    assert_eq!((second.redeliveries, &second.given_up), (0, &None));
    second.ack();
    depth_becomes(&broker, GROUP, depth(0, 0, 0, 0)).await;
}

pub async fn a_dead_message_keeps_its_reason(harness: &dyn BrokerHarness) {
    let broker = declared(harness).await;
    publish(&broker, 0..3).await;
    let mut consumer = consume(&broker, 10).await;
    for delivery in take(&mut consumer, 3).await {
        let reason = format!("no such mailbox ({})", seq(&delivery));
        delivery.dead(reason).await.unwrap();
    }
    depth_becomes(&broker, GROUP, depth(0, 0, 0, 3)).await;
    let expected = |n| DeadLetter { message: message(n), reason: format!("no such mailbox ({n})") };
    // Reading leaves them there, in their order.
    for limit in [2, 10] {
        let letters = broker.dead_letters(QUEUE, GROUP, limit).await.unwrap();
        assert_eq!(letters, (0..3).take(limit).map(expected).collect::<Vec<_>>());
        depth_becomes(&broker, GROUP, depth(0, 0, 0, 3)).await;
    }
}

pub async fn what_is_given_back_comes_again_at_once(harness: &dyn BrokerHarness) {
    let broker = declared(harness).await;
    publish(&broker, 0..2).await;
    let mut consumer = consume(&broker, 10).await;
    let mut taken = take(&mut consumer, 2).await;
    taken.remove(0).give_back();
    let again = next(&mut consumer).await;
    assert_eq!((seq(&again), again.message.attempt), (0, 1));
    again.ack();
    taken.remove(0).ack();
    depth_becomes(&broker, GROUP, depth(0, 0, 0, 0)).await;
}

pub async fn a_lost_consumers_delivery_settles_nothing(harness: &dyn BrokerHarness) {
    let broker = declared(harness).await;
    publish(&broker, 0..4).await;
    let mut consumer = consume(&broker, 10).await;
    let mut taken = take(&mut consumer, 4).await.into_iter();
    drop(consumer);
    let mut late = || taken.next().unwrap();
    late().ack();
    late().give_back();
    assert!(late().retry(Duration::from_secs(1)).await.is_err());
    assert!(late().dead("too late").await.is_err());

    let mut other = consume(&broker, 10).await;
    let back = take(&mut other, 4).await;
    assert_eq!(seqs(&back), (0..4).collect());
    back.into_iter().for_each(Delivery::ack);
    depth_becomes(&broker, GROUP, depth(0, 0, 0, 0)).await;
}

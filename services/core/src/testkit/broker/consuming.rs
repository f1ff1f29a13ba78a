//! Cases of consuming: the consumer that gets a message, the number at once, and what comes back from a consumer that leaves.

use super::harness::{BrokerHarness, GROUP};
use super::support::{consume, declared, depth, depth_becomes, has_nothing, next, publish, seq, seqs, take};

/// A second consumer gets the rest, so the first one does not hold it.
pub async fn prefetch_bounds_what_a_consumer_holds(harness: &dyn BrokerHarness) {
    let broker = declared(harness).await;
    publish(&broker, 0..5).await;
    let mut first = consume(&broker, 3).await;
    let mut held = take(&mut first, 3).await;
    let mut second = consume(&broker, 10).await;
    let rest = take(&mut second, 2).await;
    assert!(has_nothing(&mut first) && has_nothing(&mut second));

    publish(&broker, 5..15).await;
    let more = take(&mut second, 8).await;
    assert!(has_nothing(&mut first), "a fourth delivery at prefetch 3");
    held.pop().unwrap().ack();
    held.pop().unwrap().ack();
    let after_acks = take(&mut first, 2).await;
    let everything: Vec<_> = held.into_iter().chain(rest).chain(more).chain(after_acks).collect();
    assert_eq!(seqs(&everything).len(), 13);
}

pub async fn messages_arrive_in_the_order_of_their_confirms(harness: &dyn BrokerHarness) {
    let broker = declared(harness).await;
    let mut consumer = consume(&broker, 1).await;
    for n in 0..10 {
        publish(&broker, n..n + 1).await;
    }
    for n in 0..10 {
        let delivery = next(&mut consumer).await;
        assert_eq!(seq(&delivery), n);
        delivery.ack();
    }
}

pub async fn two_consumers_share_a_queue(harness: &dyn BrokerHarness) {
    let (broker, other) = (declared(harness).await, harness.connect().await);
    let (mut first, mut second) = (consume(&broker, 5).await, consume(&other, 5).await);
    publish(&broker, 0..10).await;
    let (mut taken, others) = futures::join!(take(&mut first, 5), take(&mut second, 5));
    taken.extend(others);
    assert_eq!(seqs(&taken), (0..10).collect());
}

pub async fn a_waiting_consumer_wakes_for_a_message(harness: &dyn BrokerHarness) {
    let broker = declared(harness).await;
    let mut consumer = consume(&broker, 10).await;
    for n in 0..3 {
        assert!(has_nothing(&mut consumer));
        let (delivery, ()) = futures::join!(next(&mut consumer), publish(&broker, n..n + 1));
        assert_eq!(seq(&delivery), n);
        delivery.ack();
    }
}

pub async fn what_a_dropped_consumer_held_comes_back(harness: &dyn BrokerHarness) {
    let broker = declared(harness).await;
    publish(&broker, 0..10).await;
    for lost in 0..3 {
        let mut consumer = consume(&broker, 10).await;
        let taken = take(&mut consumer, 10).await;
        assert_eq!(seqs(&taken), (0..10).collect());
        let redeliveries: Vec<u32> = taken.iter().map(|delivery| delivery.redeliveries).collect();
        assert_eq!(redeliveries, vec![lost; 10]);
        drop(consumer);
    }
    depth_becomes(&broker, GROUP, depth(10, 0, 0, 0)).await;
}

pub async fn a_dropped_delivery_stays_with_its_consumer(harness: &dyn BrokerHarness) {
    let broker = declared(harness).await;
    let mut careless = consume(&broker, 1).await;
    publish(&broker, 0..2).await;
    drop(next(&mut careless).await);
    let mut other = consume(&broker, 10).await;
    let second = next(&mut other).await;
    assert!(has_nothing(&mut careless), "what was dropped counts against the prefetch");
    drop(careless);
    let first = next(&mut other).await;
    assert_eq!((seq(&first), seq(&second)), (0, 1));
}

/// Messages that were acked before come to nobody. The rest comes to the next consumer, at once and without a question for the depth.
pub async fn a_closed_consumer_has_sent_its_acks_and_gives_back_the_rest(harness: &dyn BrokerHarness) {
    let broker = declared(harness).await;
    publish(&broker, 0..100).await;
    let mut closed = consume(&broker, 50).await;
    let mut acked = Vec::new();
    for delivery in take(&mut closed, 50).await {
        match seq(&delivery) {
            17 => delivery.give_back(),
            n if n % 10 == 3 => drop(delivery),
            n => {
                acked.push(n);
                delivery.ack();
            }
        }
    }
    // A delivery that was given back or handed out, and not acked, is not settled.
    closed.close().await;
    let mut next_one = consume(&broker, 200).await;
    let rest = take(&mut next_one, 100 - acked.len()).await;
    assert!(seqs(&rest).iter().all(|n| !acked.contains(n)), "acked before the close, and delivered again");
    assert!(has_nothing(&mut next_one));
    depth_becomes(&broker, GROUP, depth(0, rest.len() as u64, 0, 0)).await;
}

//! Publishes to a queue that confirms late or nothing: it costs them their channel at most, and nobody else anything.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::join_all;
use paceline_core::ports::broker::Confirm;
use tokio::sync::mpsc;

use super::chunk::CHANNELS;
use super::fake_broker::{Act, FakeBroker, PUBLISH, message, within};
use super::fake_frames::put_ack;
use super::message::Target;
use super::singles::CHUNKS_MAX;

const CHANNEL_OPEN: (u16, u16) = (20, 10);
const CHANNEL_CLOSE: (u16, u16) = (20, 40);
const WELL: Target<'_> = Target { exchange: "test", routing_key: "well", reason: None };
const STUCK: Target<'_> = Target { routing_key: "stuck", ..WELL };

/// The channel of each publish to the stuck queue, or of each close, as the broker hears of them.
type Told = mpsc::UnboundedReceiver<u16>;

/// The channels as the broker sees them.
#[derive(Default)]
struct Seen {
    opened: usize,
    last_tags: BTreeMap<u16, u64>,
    confirmed_well_on: BTreeSet<u16>,
}

impl Seen {
    fn publish(&mut self, channel: u16) -> u64 {
        let tag = self.last_tags.entry(channel).or_insert(0);
        *tag += 1;
        *tag
    }
}

/// A broker that confirms messages to "well" at once, and with each of them one message to "stuck" if `is_slow`.
async fn broker(is_slow: bool) -> (FakeBroker, Arc<Mutex<Seen>>, Told, Told) {
    let seen = Arc::new(Mutex::new(Seen::default()));
    let (stuck, told_stuck) = mpsc::unbounded_channel();
    let (closed, told_closed) = mpsc::unbounded_channel();
    let script_seen = seen.clone();
    let outstanding = Mutex::new(VecDeque::new());
    let broker = FakeBroker::with_routing_keys(move |method, channel, routing_key, out| {
        let mut seen = script_seen.lock().unwrap();
        match method {
            CHANNEL_OPEN => {
                seen.opened += 1;
                // Maybe that of another connection.
                seen.last_tags.remove(&channel);
                outstanding.lock().unwrap().retain(|(of, _)| *of != channel);
            }
            // The test may have ended.
            CHANNEL_CLOSE => _ = closed.send(channel),
            PUBLISH if routing_key == "stuck" => {
                outstanding.lock().unwrap().push_back((channel, seen.publish(channel)));
                _ = stuck.send(channel);
            }
            PUBLISH => {
                // First: whoever hears of the other's confirm may let time pass.
                if is_slow && let Some((channel, tag)) = outstanding.lock().unwrap().pop_front() {
                    put_ack(out, channel, tag, false);
                }
                put_ack(out, channel, seen.publish(channel), false);
                seen.confirmed_well_on.insert(channel);
            }
            _ => (),
        }
        Act::Answer
    });
    (broker.await, seen, told_stuck, told_closed)
}

/// Lets time pass in which the broker has nothing to say.
async fn pass(seconds: u64) {
    tokio::time::pause();
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    tokio::time::resume();
}

#[tokio::test]
async fn a_chunk_of_which_a_message_is_confirmed_now_and_then_keeps_its_channel() {
    const MESSAGES: usize = 4;
    let (broker, seen, mut stuck, _closed) = broker(true).await;
    let publisher = broker.publisher();
    let (batch, other) = (["1", "2", "3", "4"].map(message), [message("other")]);
    let story = async {
        for _ in 0..MESSAGES {
            within(stuck.recv()).await.unwrap();
        }
        // Each round confirms one of them. They take longer together than the broker has for one.
        for _ in 0..MESSAGES {
            assert_eq!(within(publisher.publish(WELL, &other)).await.unwrap(), [Confirm::Confirmed]);
            pass(20).await;
        }
    };
    let (slow, ()) = tokio::join!(publisher.publish(STUCK, &batch), story);
    assert!(slow.unwrap_err().is_retryable(), "its publisher does not wait so long");
    assert_eq!(within(publisher.publish(WELL, &other)).await.unwrap(), [Confirm::Confirmed]);
    assert_eq!(publisher.rebuilt(), 0);
    assert_eq!(seen.lock().unwrap().opened, CHANNELS, "none is replaced");
}

#[tokio::test]
async fn a_chunk_that_is_never_confirmed_costs_its_channel_and_not_the_connection() {
    let (broker, seen, mut stuck, mut closed) = broker(false).await;
    let publisher = broker.publisher();
    let (stuck_batch, other) = ([message("stuck")], [message("other")]);
    let story = async {
        let channel = within(stuck.recv()).await.unwrap();
        tokio::time::pause();
        channel
    };
    let (late, channel) = tokio::join!(publisher.publish(STUCK, &stuck_batch), story);
    tokio::time::resume();
    assert!(late.unwrap_err().is_retryable());
    assert_eq!(within(publisher.publish(WELL, &other)).await.unwrap(), [Confirm::Confirmed]);
    // The rest of the chunk's time passes without a confirm; then the broker is asked for another channel.
    pass(19).await;
    assert_eq!(within(closed.recv()).await, Some(channel));
    assert_eq!(seen.lock().unwrap().opened, CHANNELS + 1);
    // One after the other, they would all go on the same channel, and one target has no more than some.
    let keys = ["well", "well too", "well as well"];
    let targets = keys.map(|routing_key| Target { routing_key, ..WELL });
    let batch = [message("1"), message("2")];
    let batches = (0..CHANNELS).map(|index| publisher.publish(targets[index % targets.len()], &batch));
    let all = within(join_all(batches)).await;
    assert!(all.into_iter().all(|confirms| confirms.unwrap() == [Confirm::Confirmed, Confirm::Confirmed]));
    assert_eq!(publisher.rebuilt(), 0);
    let confirmed_on = seen.lock().unwrap().confirmed_well_on.clone();
    assert!(!confirmed_on.contains(&channel), "channel {channel} among {confirmed_on:?}");
    assert_eq!(confirmed_on.len(), CHANNELS, "{confirmed_on:?}");
}

#[tokio::test]
async fn a_connection_on_which_nothing_is_confirmed_is_replaced() {
    let (broker, _seen, mut stuck, _closed) = broker(false).await;
    let publisher = broker.publisher();
    let (stuck_batch, other) = ([message("stuck")], [message("other")]);
    let story = async {
        within(stuck.recv()).await.unwrap();
        tokio::time::pause();
    };
    let (late, ()) = tokio::join!(publisher.publish(STUCK, &stuck_batch), story);
    tokio::time::resume();
    assert!(late.unwrap_err().is_retryable());
    assert_eq!(publisher.rebuilt(), 0);
    pass(21).await;
    assert_eq!(within(publisher.publish(WELL, &other)).await.unwrap(), [Confirm::Confirmed]);
    assert_eq!(publisher.rebuilt(), 1);
}

/// Confirms from before do not count.
#[tokio::test]
async fn a_connection_on_which_nothing_is_confirmed_any_more_is_replaced_as_soon() {
    let (broker, _seen, mut stuck, _closed) = broker(true).await;
    let publisher = broker.publisher();
    let (batch, other) = (["1", "2"].map(message), [message("other")]);
    let story = async {
        within(stuck.recv()).await.unwrap();
        within(stuck.recv()).await.unwrap();
        assert_eq!(within(publisher.publish(WELL, &other)).await.unwrap(), [Confirm::Confirmed]);
        tokio::time::pause();
    };
    let (late, ()) = tokio::join!(publisher.publish(STUCK, &batch), story);
    tokio::time::resume();
    assert!(late.unwrap_err().is_retryable());
    pass(21).await;
    assert_eq!(within(publisher.publish(WELL, &other)).await.unwrap(), [Confirm::Confirmed]);
    assert_eq!(publisher.rebuilt(), 1);
}

#[tokio::test]
async fn a_queue_that_confirms_nothing_leaves_channels_to_the_others() {
    for messages in [1, 2] {
        leaves_channels_to_the_others(messages).await;
    }
}

async fn leaves_channels_to_the_others(messages: usize) {
    let (broker, seen, mut stuck, _closed) = broker(false).await;
    let publisher = broker.publisher();
    let (stuck_batch, other) = ([message("stuck"), message("stuck too")], [message("other")]);
    let stuck_publishes = join_all((0..CHANNELS).map(|_| publisher.publish(STUCK, &stuck_batch[..messages])));
    let story = async {
        // As many as it may have at once.
        for _ in 0..CHUNKS_MAX * messages {
            within(stuck.recv()).await.unwrap();
        }
        assert_eq!(within(publisher.publish(WELL, &other)).await.unwrap(), [Confirm::Confirmed]);
        tokio::time::pause();
    };
    let (late, ()) = tokio::join!(stuck_publishes, story);
    tokio::time::resume();
    assert!(late.into_iter().all(|confirms| confirms.unwrap_err().is_retryable()));
    assert_eq!(within(publisher.publish(WELL, &other)).await.unwrap(), [Confirm::Confirmed]);
    assert_eq!(publisher.rebuilt(), 0);
    assert_eq!(seen.lock().unwrap().opened, CHANNELS, "none is replaced so soon");
}

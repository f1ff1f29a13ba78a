//! The exchange and the queues of a (queue, group), by name and settings. All of them are quorum queues.
//!
//! ```text
//! <ns> ──queue──▶ <ns>.<queue>.<group> ──limit, expiry──▶ ….given-up      consumed too, to record it as dead
//!                       ▲                                  ….dead          kept for people
//!                       └──after its seconds── ….retry.<seconds>           nobody consumes
//! ```

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::future::{BoxFuture, try_join_all};
use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, ExchangeKind};
use paceline_core::ids::{check_group, check_queue};
use paceline_core::ports::broker::DELIVERY_LIMIT;
use paceline_core::retry::{LADDER_S, round_up};
use paceline_core::{Error, ErrorKind, Result};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::connection::{Connection, REQUEST_TIMEOUT};
use super::lock::locked;

/// For queues whose messages may be handed out any number of times, since nobody settles them. RabbitMQ 4 would otherwise drop
/// a message after 20 looks at it.
const DELIVERY_LIMIT_NONE: i64 = 1_000_000_000;

/// For this long a successful declaration is not repeated, and a refused one is not tried again.
const FRESH: Duration = Duration::from_secs(1);

/// The names of a (queue, group).
#[derive(Debug, Clone)]
pub struct Names {
    pub exchange: String,
    pub routing_key: String,
    pub main: String,
    pub given_up: String,
    pub dead: String,
    retries: [String; LADDER_S.len()],
}

impl Names {
    pub fn new(namespace: &str, queue: &str, group: &str) -> Result<Self> {
        check_names(queue, group)?;
        let main = format!("{namespace}.{queue}.{group}");
        Ok(Self {
            exchange: namespace.to_owned(),
            routing_key: queue.to_owned(),
            given_up: format!("{main}.given-up"),
            dead: format!("{main}.dead"),
            retries: LADDER_S.map(|seconds| format!("{main}.retry.{seconds}")),
            main,
        })
    }

    /// The delay queue of the ladder's step at or above `delay`.
    pub fn retry(&self, delay: Duration) -> &str {
        let seconds = round_up(delay).as_secs();
        let step = LADDER_S.iter().position(|step| *step == seconds).expect("rounded up to a step");
        &self.retries[step]
    }

    /// Every queue, the main one first.
    pub fn queues(&self) -> impl Iterator<Item = &str> {
        [&self.main, &self.given_up, &self.dead].into_iter().chain(&self.retries).map(String::as_str)
    }
}

/// A group and the end of a queue's name must not look like one of our suffixes: two (queue, group) would share a queue.
fn check_names(queue: &str, group: &str) -> Result<()> {
    check_queue("queue", queue)?;
    check_group("group", group)
}

/// Makes the exchange, which every publish needs.
pub async fn declare_exchange(channel: &Channel, exchange: &str) -> lapin::Result<()> {
    let durable = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    channel.exchange_declare(exchange.into(), ExchangeKind::Direct, durable, FieldTable::default()).await
}

/// Makes everything of a (queue, group). Idempotent; the requests go out together, in order.
async fn declare(channel: &Channel, names: &Names) -> lapin::Result<()> {
    let mut made: Vec<BoxFuture<'_, lapin::Result<()>>> = vec![
        Box::pin(declare_exchange(channel, &names.exchange)),
        Box::pin(declare_queue(channel, &names.main, Some(&names.given_up), i64::from(DELIVERY_LIMIT), None)),
        Box::pin(declare_queue(channel, &names.given_up, None, DELIVERY_LIMIT_NONE, None)),
        Box::pin(declare_queue(channel, &names.dead, None, DELIVERY_LIMIT_NONE, None)),
    ];
    for (queue, seconds) in names.retries.iter().zip(LADDER_S) {
        made.push(Box::pin(declare_queue(channel, queue, Some(&names.main), DELIVERY_LIMIT_NONE, Some(seconds))));
    }
    let (main, exchange, key) = (&*names.main, &*names.exchange, &*names.routing_key);
    let options = QueueBindOptions::default();
    made.push(Box::pin(channel.queue_bind(main.into(), exchange.into(), key.into(), options, FieldTable::default())));
    try_join_all(made).await.map(drop)
}

/// What a connection has declared just now, and what it was refused. A worker starts its consumers all at once, each needs the same
/// queues, and a broker that was restarted meets every worker at once. A refusal costs a channel, so one is enough for all of them.
#[derive(Default)]
pub struct Declared {
    /// By main queue; each behind a lock of its own, so that a queue that hangs holds up no other.
    queues: std::sync::Mutex<HashMap<String, Arc<Mutex<Option<Last>>>>>,
    /// The queues of which the broker refused a consumer, by main queue, and when somebody tried last.
    not_consumed: std::sync::Mutex<HashMap<String, (Instant, Error)>>,
    /// Grows when a queue is found gone: what was declared before is to be declared again.
    generation: AtomicU64,
}

/// The last word of the broker on the queues of a (queue, group).
struct Last {
    at: Instant,
    generation: u64,
    refusal: Option<Error>,
}

impl Declared {
    /// Declares everything of a (queue, group) unless that was done a moment ago. Who comes meanwhile waits for the answer.
    pub async fn ensure(&self, connection: &Connection, names: &Names) -> Result<()> {
        let queue = self.queue(names);
        let declaring = async {
            let mut last = queue.lock().await;
            let generation = self.generation.load(Ordering::Acquire);
            match last.as_ref().filter(|last| last.at.elapsed() < FRESH) {
                Some(Last { refusal: Some(refusal), .. }) => return Err(refusal.clone()),
                Some(Last { generation: of, .. }) if *of == generation => return Ok(()),
                _ => (),
            }
            let channel = connection.lease().await?;
            let declared = channel.request(declare(&channel, names)).await;
            channel.discard();
            let refusal = declared.as_ref().err().cloned();
            if refusal.as_ref().is_none_or(is_refusal) {
                *last = Some(Last { at: Instant::now(), generation, refusal });
            }
            declared
        };
        // Who waits for somebody else's declaration waits no longer than for one of its own.
        tokio::time::timeout(REQUEST_TIMEOUT, declaring).await.unwrap_or_else(|_| Err(connection.overdue()))
    }

    /// Leave to start a consumer: of a queue that was refused, one a second tries.
    pub fn may_consume(&self, names: &Names) -> Result<()> {
        match locked(&self.not_consumed).get_mut(&names.main) {
            Some((at, refusal)) if at.elapsed() < FRESH => Err(refusal.clone()),
            Some((at, _)) => {
                *at = Instant::now();
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// The broker's word on a consumer of the queue.
    pub fn consumed(&self, names: &Names, error: Option<&Error>) {
        let mut refused = locked(&self.not_consumed);
        match error {
            None => _ = refused.remove(&names.main),
            Some(error) if is_refusal(error) => _ = refused.insert(names.main.clone(), (Instant::now(), error.clone())),
            Some(_) => (),
        }
    }

    fn queue(&self, names: &Names) -> Arc<Mutex<Option<Last>>> {
        locked(&self.queues).entry(names.main.clone()).or_default().clone()
    }

    /// A queue is gone.
    pub fn forget(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
    }
}

/// A word that holds until somebody changes the broker: a permission that is missing, a queue that was made otherwise.
fn is_refusal(error: &Error) -> bool {
    error.kind == ErrorKind::FailedPrecondition
}

/// A quorum queue that hands what it gives up to `dead_letters`, and only after that one has it.
async fn declare_queue(
    channel: &Channel,
    queue: &str,
    dead_letters: Option<&str>,
    limit: i64,
    ttl_s: Option<u64>,
) -> lapin::Result<()> {
    let mut arguments = FieldTable::default();
    let text = |text: &str| AMQPValue::LongString(text.into());
    arguments.insert("x-queue-type".into(), text("quorum"));
    arguments.insert("x-delivery-limit".into(), AMQPValue::LongLongInt(limit));
    // At-least-once dead-lettering needs it; without a length limit it never refuses.
    arguments.insert("x-overflow".into(), text("reject-publish"));
    if let Some(target) = dead_letters {
        arguments.insert("x-dead-letter-exchange".into(), text(""));
        arguments.insert("x-dead-letter-routing-key".into(), text(target));
        arguments.insert("x-dead-letter-strategy".into(), text("at-least-once"));
    }
    if let Some(seconds) = ttl_s {
        let milliseconds = i64::try_from(seconds * 1000).expect("an hour in milliseconds");
        arguments.insert("x-message-ttl".into(), AMQPValue::LongLongInt(milliseconds));
    }
    let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(queue.into(), durable, arguments).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_design() {
        let names = Names::new("paceline", "default", "main").unwrap();
        assert_eq!(names.main, "paceline.default.main");
        assert_eq!(names.retry(Duration::from_millis(1500)), "paceline.default.main.retry.2");
        assert_eq!(names.retry(Duration::from_secs(99_999)), "paceline.default.main.retry.3600");
        assert_eq!(names.queues().count(), 11);
    }

    #[test]
    fn names_that_could_meet_anothers_queue_are_refused() {
        for (queue, group) in [("q.main", "dead"), ("q", "main.dead"), ("q.main.retry", "1"), ("Q", "main"), ("q", "")]
        {
            assert!(Names::new("n", queue, group).is_err(), "{queue} {group}");
        }
    }
}

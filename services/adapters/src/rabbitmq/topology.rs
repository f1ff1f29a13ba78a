//! The exchange and the queues of a (queue, group), by name and settings. All of them are quorum queues.
//!
//! ```text
//! <ns> ──queue──▶ <ns>.<queue>.<group> ──limit, expiry──▶ ….given-up      consumed too, to record it as dead
//!                       ▲                                  ….dead          kept for people
//!                       └──after its seconds── ….retry.<seconds>           nobody consumes
//! ```

use std::time::Duration;

use futures::future::BoxFuture;
use paceline_core::ids::check_name;
use paceline_core::ports::broker::DELIVERY_LIMIT;
use paceline_core::retry::{LADDER_S, round_up};
use paceline_core::{Error, Result};

use super::wire::codec::{put_int_field, put_text_field};
use super::wire::{Channel, requests};

/// For queues whose messages may be handed out any number of times, since nobody settles them. RabbitMQ 4 would otherwise drop
/// a message after 20 looks at it.
const DELIVERY_LIMIT_NONE: i64 = 1_000_000_000;

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

    pub fn retries(&self) -> &[String] {
        &self.retries
    }

    /// Every queue, the main one first.
    pub fn queues(&self) -> impl Iterator<Item = &str> {
        [&self.main, &self.given_up, &self.dead].into_iter().chain(&self.retries).map(String::as_str)
    }
}

/// A group and the end of a queue's name must not look like one of our suffixes: two (queue, group) would share a queue.
fn check_names(queue: &str, group: &str) -> Result<()> {
    check_name("queue", queue)?;
    check_name("group", group)?;
    if group.contains('.') || ["dead", "given-up"].contains(&group) {
        return Err(Error::invalid_field(
            "group",
            format!("{group:?} is not a group: no dots, and not \"dead\" or \"given-up\""),
        ));
    }
    if queue.ends_with(".retry") || queue == "retry" {
        return Err(Error::invalid_field(
            "queue",
            format!("{queue:?} is not a queue: its name must not end with \"retry\""),
        ));
    }
    Ok(())
}

/// Makes the exchange, which every publish needs.
pub async fn declare_exchange(channel: &Channel, exchange: &str) -> Result<()> {
    channel.request(|out, number| requests::exchange_declare(out, number, exchange))?.await.map(drop)
}

/// Makes everything of a (queue, group). Idempotent; the requests go out together.
pub async fn declare(channel: &Channel, names: &Names) -> Result<()> {
    let mut replies = vec![
        channel.request(|out, number| requests::exchange_declare(out, number, &names.exchange))?,
        declare_queue(channel, &names.main, Some(&names.given_up), i64::from(DELIVERY_LIMIT), None)?,
        declare_queue(channel, &names.given_up, None, DELIVERY_LIMIT_NONE, None)?,
        declare_queue(channel, &names.dead, None, DELIVERY_LIMIT_NONE, None)?,
    ];
    for (queue, seconds) in names.retries.iter().zip(LADDER_S) {
        replies.push(declare_queue(channel, queue, Some(&names.main), DELIVERY_LIMIT_NONE, Some(seconds))?);
    }
    replies.push(channel.request(|out, number| {
        requests::queue_bind(out, number, &names.main, &names.exchange, &names.routing_key);
    })?);
    for reply in replies {
        reply.await?;
    }
    Ok(())
}

/// A quorum queue that hands what it gives up to `dead_letters`, and only after that one has it.
fn declare_queue(
    channel: &Channel,
    queue: &str,
    dead_letters: Option<&str>,
    limit: i64,
    ttl_s: Option<u64>,
) -> Result<BoxFuture<'static, Result<u64>>> {
    channel.request(|out, number| {
        requests::queue_declare(out, number, queue, |out| {
            put_text_field(out, "x-queue-type", "quorum");
            put_int_field(out, "x-delivery-limit", limit);
            // At-least-once dead-lettering needs it; without a length limit it never refuses.
            put_text_field(out, "x-overflow", "reject-publish");
            if let Some(target) = dead_letters {
                put_text_field(out, "x-dead-letter-exchange", "");
                put_text_field(out, "x-dead-letter-routing-key", target);
                put_text_field(out, "x-dead-letter-strategy", "at-least-once");
            }
            if let Some(seconds) = ttl_s {
                put_int_field(out, "x-message-ttl", i64::try_from(seconds * 1000).expect("an hour in milliseconds"));
            }
        });
    })
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

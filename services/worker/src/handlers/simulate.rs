//! Stands in for a handler of your own, to see dashboards, alerts and retries at work: it takes time and fails as often as
//! the payload asks. `{"simulate": {"ms": 20, "retry": 0.05, "dead": 0.01}}` works for 20 ms, asks for another attempt five
//! times in a hundred, and gives up once in a hundred. What happens to an attempt is a pure function of run, seq and attempt.

use std::time::Duration;

use async_trait::async_trait;
use paceline_core::job::Job;
use paceline_core::outcome::Outcome;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::handler::{Handler, JobContext};
use super::record::number;

/// Takes the time and fails as often as the job's payload asks.
pub struct Simulate;

/// The field `simulate` of a payload. A part that is missing asks for nothing.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Wish {
    ms: u64,
    /// The shares of attempts that are tried again, and of attempts that end dead: 0 to 1 each.
    retry: f64,
    dead: f64,
}

#[async_trait]
impl Handler for Simulate {
    async fn handle(&self, job: &Job, context: &JobContext) -> Outcome {
        let asked = job.payload.get("simulate").cloned().unwrap_or(Value::Object(Map::new()));
        let wish: Wish = match serde_json::from_value(asked) {
            Ok(wish) => wish,
            Err(wrong) => return Outcome::dead(format!("payload.simulate: {wrong}")),
        };
        if let Err(wrong) = wish.check() {
            return Outcome::dead(format!("payload.simulate: {wrong}"));
        }
        tokio::time::sleep(Duration::from_millis(wish.ms)).await;
        let chance = chance(job, context.attempt);
        if chance < wish.dead {
            Outcome::dead("gave up, as its payload asks")
        } else if chance < wish.dead + wish.retry {
            Outcome::retry("failed, as its payload asks")
        } else {
            Outcome::Done { output: Map::new() }
        }
    }
}

impl Wish {
    fn check(&self) -> Result<(), String> {
        for (name, share) in [("retry", self.retry), ("dead", self.dead)] {
            if !(0.0..=1.0).contains(&share) {
                return Err(format!("`{name}` is {share}, and not a share from 0 to 1"));
            }
        }
        let sum = self.retry + self.dead;
        // A hair more is what 0.9 + 0.1 may come to.
        if sum > 1.0 + 1e-9 { Err(format!("`retry` and `dead` are {sum} together, more than 1")) } else { Ok(()) }
    }
}

/// Even over 0 to 1, and another one for each attempt.
fn chance(job: &Job, attempt: u32) -> f64 {
    let mixed = number(&format!("{} {attempt}", job.run_id), job.seq);
    (mixed % 1_000_000) as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use paceline_core::ids::RunId;
    use serde_json::json;

    use super::*;

    async fn outcomes(simulate: Value, attempt: u32) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        for seq in 0..1000 {
            let job = Job {
                job_id: format!("run-{seq}"),
                run_id: RunId::parse("run").expect("an id"),
                seq,
                queue: "default".into(),
                handler: "simulate".into(),
                scheduled_at: 0,
                enqueued_at: 0,
                payload: json!({ "simulate": simulate }).as_object().cloned().unwrap_or_default(),
            };
            outcomes.push(Simulate.handle(&job, &JobContext { attempt, worker_id: "w".into() }).await);
        }
        outcomes
    }

    fn count(outcomes: &[Outcome], wanted: fn(&Outcome) -> bool) -> usize {
        outcomes.iter().filter(|outcome| wanted(outcome)).count()
    }

    #[tokio::test(start_paused = true)]
    async fn fails_as_often_as_it_is_asked_to_and_the_same_way_each_time() {
        let first = outcomes(json!({"ms": 1, "retry": 0.2, "dead": 0.1}), 1).await;
        let dead = count(&first, |outcome| matches!(outcome, Outcome::Dead { .. }));
        let retried = count(&first, |outcome| matches!(outcome, Outcome::Retry { .. }));
        assert!((70..130).contains(&dead) && (150..250).contains(&retried), "{dead} dead, {retried} retried");
        assert_eq!(first, outcomes(json!({"ms": 1, "retry": 0.2, "dead": 0.1}), 1).await);
        assert_ne!(first, outcomes(json!({"ms": 1, "retry": 0.2, "dead": 0.1}), 2).await);
    }

    #[tokio::test(start_paused = true)]
    async fn does_nothing_that_it_is_not_asked_for_and_names_a_mistake() {
        assert_eq!(count(&outcomes(json!({}), 1).await, |outcome| matches!(outcome, Outcome::Done { .. })), 1000);
        let wrong = outcomes(json!({"delay": 1}), 1).await;
        assert!(
            matches!(&wrong[0], Outcome::Dead { reason } if reason.contains("payload.simulate: unknown field `delay`"))
        );
    }

    #[tokio::test(start_paused = true)]
    async fn shares_that_are_none_are_refused() {
        for (wrong, said) in [
            (json!({"retry": 1.5}), "payload.simulate: `retry` is 1.5, and not a share from 0 to 1"),
            (json!({"dead": -0.1}), "payload.simulate: `dead` is -0.1, and not a share from 0 to 1"),
            (
                json!({"retry": 0.75, "dead": 0.5}),
                "payload.simulate: `retry` and `dead` are 1.25 together, more than 1",
            ),
        ] {
            let outcome = &outcomes(wrong, 1).await[0];
            assert!(matches!(outcome, Outcome::Dead { reason } if reason == said), "{outcome:?}");
        }
        let whole = outcomes(json!({"retry": 0.9, "dead": 0.1}), 1).await;
        assert_eq!(count(&whole, |outcome| matches!(outcome, Outcome::Done { .. })), 0);
    }
}

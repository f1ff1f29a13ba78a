//! The metadata of a KEDA trigger, read as a question.

use std::collections::HashMap;

use paceline_core::Result;
use paceline_core::error::{Violations, codes};
use paceline_core::scaling::Aim;

use super::question::Question;
use crate::context::Config;

/// The keys that are ours.
const KEYS: [&str; 6] = ["queue", "group", "drainSeconds", "minWorkers", "maxWorkers", "jobsPerSecond"];
pub const TOKEN_KEY: &str = "tokenFromEnv";
/// KEDA's own keys of an external trigger, which it sends along.
const KEDA_KEYS: [&str; 7] =
    ["scalerAddress", "enableTLS", "unsafeSsl", "caCert", "tlsCertFile", "tlsClientCert", "tlsClientKey"];
/// The question that the keys of a trigger ask, or every mistake in them.
pub fn question(keys: &HashMap<String, String>, config: &Config) -> Result<Question> {
    let mut violations = Violations::default();
    refuse_unknown(keys, &mut violations);
    let default = Aim::default();
    let aim = Aim {
        drain_seconds: number(keys, "drainSeconds", default.drain_seconds, &mut violations),
        min_workers: number(keys, "minWorkers", default.min_workers, &mut violations),
        max_workers: number(keys, "maxWorkers", default.max_workers, &mut violations),
        jobs_per_second: number(keys, "jobsPerSecond", default.jobs_per_second, &mut violations),
    };
    let text = |key: &str| keys.get(key).cloned().unwrap_or_default();
    let question = Question { queue: text("queue"), group: text("group"), aim }.checked(config, camel_case);
    for wrong in question.as_ref().err().into_iter().flat_map(|error| &error.fields) {
        violations.add(&wrong.field, &wrong.description);
    }
    violations.check_coded(codes::SCALED_OBJECT_INVALID)?;
    question
}

fn number<T: std::str::FromStr>(
    keys: &HashMap<String, String>,
    key: &str,
    default: T,
    violations: &mut Violations,
) -> T {
    let Some(text) = keys.get(key) else { return default };
    text.parse().unwrap_or_else(|_| {
        violations.add(key, format!("{text:?} is not a number as it should be there"));
        default
    })
}

/// The field's name as the keys of a trigger are written.
fn camel_case(field: &'static str) -> String {
    let mut words = field.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |key, word| {
        let (initial, rest) = word.split_at(1);
        key + &initial.to_uppercase() + rest
    })
}

fn refuse_unknown(keys: &HashMap<String, String>, violations: &mut Violations) {
    let known = |key: &str| KEYS.contains(&key) || KEDA_KEYS.contains(&key) || key == TOKEN_KEY;
    let mut unknown: Vec<_> = keys.keys().filter(|key| !known(key)).collect();
    unknown.sort();
    for key in unknown {
        violations.add(key, format!("is not known; there are: {}, {TOKEN_KEY}", KEYS.join(", ")));
    }
}

#[cfg(test)]
mod tests {
    use paceline_runtime::auth::RequireToken;
    use paceline_runtime::instruments::Instruments;

    use super::*;
    use crate::context::{OwnerLimits, Rules};

    fn keys(pairs: &[(&str, &str)]) -> HashMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn asked(pairs: &[(&str, &str)]) -> Result<Question> {
        let config = Config {
            id: "s".into(),
            group: "main".into(),
            rules: Rules { queues: vec!["default".into(), "mail".into()], handlers: vec![] },
            limits: OwnerLimits::default(),
            token: RequireToken::default(),
            instruments: Instruments::off("scheduler", "s"),
        };
        question(&keys(pairs), &config)
    }

    #[test]
    fn a_trigger_says_what_it_wants_and_the_rest_has_defaults() {
        let question = asked(&[("scalerAddress", "paceline-scheduler:50051"), ("enableTLS", "false")]).unwrap();
        assert_eq!(question, Question { queue: "default".into(), group: "main".into(), aim: Aim::default() });
        let all = [
            ("queue", "mail"),
            ("group", "audit"),
            ("drainSeconds", "30"),
            ("minWorkers", "2"),
            ("maxWorkers", "20"),
            ("jobsPerSecond", "12.5"),
            ("tokenFromEnv", "whatever"),
        ];
        let aim = Aim { drain_seconds: 30.0, min_workers: 2, max_workers: 20, jobs_per_second: 12.5 };
        assert_eq!(asked(&all).unwrap(), Question { queue: "mail".into(), group: "audit".into(), aim });
    }

    #[test]
    fn every_mistake_in_a_trigger_is_named_with_what_there_is() {
        let wrong =
            [("queue", "nail"), ("drainSecs", "3"), ("maxWorkers", "many"), ("drainSeconds", "0"), ("group", "dead")];
        let error = asked(&wrong).unwrap_err();
        let said: Vec<_> = error.fields.iter().map(|wrong| format!("{} {}", wrong.field, wrong.description)).collect();
        let parts = [
            "drainSecs is not known; there are: queue, group, drainSeconds, minWorkers, maxWorkers, jobsPerSecond, tokenFromEnv",
            "maxWorkers \"many\" is not a number",
            "queue \"nail\" is not configured; there are: default, mail",
            "group ",
            "drainSeconds must be 1 to",
        ];
        assert_eq!(said.len(), parts.len(), "{said:?}");
        for (said, part) in said.iter().zip(parts) {
            assert!(said.starts_with(part), "{said:?} {part:?}");
        }
    }
}

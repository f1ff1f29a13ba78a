//! Names of things: run ids, job ids, and the small names (queue, group, handler, worker) that appear in keys and messages.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::codes;
use crate::error::{Error, Result};

/// The longest name of a queue, group, handler, namespace or worker, in bytes.
pub const NAME_BYTES_MAX: usize = 64;
/// The longest request id that a caller may give, in bytes.
pub const REQUEST_ID_BYTES_MAX: usize = 128;

/// The number of characters of a host's name that a process's name shows.
const HOST_CHARS_MAX: usize = 32;
/// Five bits each.
const RANDOM_CHARS: usize = 10;

/// The queue that a run goes to when none is named.
pub const DEFAULT_QUEUE: &str = "default";
/// The consumer group where none is configured, and of runs from before runs carried their groups.
pub const DEFAULT_GROUP: &str = "main";
/// The handler that a run uses when none is named.
pub const DEFAULT_HANDLER: &str = "record";

/// A run's id: unique for ever (a lower-case ULID), so a new run can never overwrite an old one's documents.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(Arc<str>);

impl RunId {
    /// A new id for a run created at `wall_ms`; ids sort by time of creation.
    pub fn generate(wall_ms: i64) -> Self {
        let random = ulid::Ulid::generate().random();
        let id = ulid::Ulid::from_parts(u64::try_from(wall_ms).unwrap_or(0), random);
        Self(id.to_string().to_ascii_lowercase().into())
    }

    /// Takes an id from a caller or a message. Refused: empty, too long, or a character outside `a-z 0-9 -`.
    pub fn parse(text: &str) -> Result<Self> {
        let valid = text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if text.is_empty() || text.len() > NAME_BYTES_MAX || !valid {
            return Err(Error::invalid_field(
                "run_id",
                format!("{text:?} is not a run id; `paceline run list` shows them"),
            )
            .coded(codes::RUN_ID_INVALID));
        }
        Ok(Self(text.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `<run>-<seq>`: deterministic and never reused. The document's `_id`, the message's id, the caller's idempotency key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct JobId {
    pub run: RunId,
    pub seq: u64,
}

impl JobId {
    pub fn new(run: RunId, seq: u64) -> Self {
        Self { run, seq }
    }

    /// The inverse of `Display`. A seq has no leading zeros, so one job has one id.
    pub fn parse(text: &str) -> Option<Self> {
        let (run, digits) = text.rsplit_once('-')?;
        let canonical = digits == "0" || !digits.starts_with('0');
        let seq = digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok())??;
        canonical.then(|| Some(Self { run: RunId::parse(run).ok()?, seq }))?
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.run, self.seq)
    }
}

/// Checks a name that becomes part of a queue, key or index: `a-z 0-9 _ . -`, starting with a letter or digit.
pub fn check_name(field: &str, name: &str) -> Result<()> {
    let valid = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_.-".contains(&b));
    let starts_well = name.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
    if valid && starts_well && name.len() <= NAME_BYTES_MAX {
        return Ok(());
    }
    let rule =
        format!("{name:?} is not a name: use 1 to {NAME_BYTES_MAX} of a-z 0-9 _ . - and start with a letter or digit");
    Err(Error::invalid_field(field, rule).coded(codes::NAME_INVALID))
}

/// Checks a queue's name. A broker has queues of its own beside `<queue>.<group>`: its `.dead`, its `.given-up`, and one
/// `.retry.<seconds>` for each delay. No queue and group together may have the name of one of those.
pub fn check_queue(field: &str, queue: &str) -> Result<()> {
    check_name(field, queue)?;
    if queue == "retry" || queue.ends_with(".retry") {
        return Err(Error::invalid_field(
            field,
            format!("{queue:?} is not a queue: its name must not be \"retry\" or end with \".retry\""),
        )
        .coded(codes::NAME_INVALID));
    }
    Ok(())
}

/// Checks a group's name, for the same reason as a queue's.
pub fn check_group(field: &str, group: &str) -> Result<()> {
    check_name(field, group)?;
    if group.contains('.') || ["dead", "given-up"].contains(&group) {
        return Err(Error::invalid_field(
            field,
            format!("{group:?} is not a group: no dots, and not \"dead\" or \"given-up\""),
        )
        .coded(codes::NAME_INVALID));
    }
    Ok(())
}

/// The name of a process that was given none. A host's name and a process id do not tell two containers apart, where every process
/// has id 1 and long names of hosts begin alike; the random part does.
pub fn process_name(role: &str, host: &str, pid: u32) -> String {
    let host = host.to_ascii_lowercase();
    let host: String = host.chars().filter(char::is_ascii_alphanumeric).take(HOST_CHARS_MAX).collect();
    format!("{role}-{host}-{pid}-{}", random_tail())
}

/// The part that tells two processes of one name apart.
pub fn random_tail() -> String {
    let random = ulid::Ulid::generate().to_string().to_ascii_lowercase();
    random[random.len() - RANDOM_CHARS..].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn job_id_round_trips_and_refuses_other_spellings() {
        let id = JobId::new(RunId::generate(1_700_000_000_000), 42);
        assert_eq!(JobId::parse(&id.to_string()), Some(id.clone()));
        for bad in ["", "-", "abc", "abc-", "abc-042", "abc-+1", "ABC-1", "abc-99999999999999999999", "-1"] {
            assert_eq!(JobId::parse(bad), None, "{bad:?}");
        }
        assert_eq!(JobId::parse("a-b-0").map(|j| (j.run.to_string(), j.seq)), Some(("a-b".into(), 0)));
    }

    #[test]
    fn two_processes_of_the_same_host_name_and_pid_have_different_names() {
        let host = "paceline-worker-of-the-billing-department-7d9c5b";
        let names: std::collections::BTreeSet<String> = (0..1_000).map(|_| process_name("worker", host, 1)).collect();
        assert_eq!(names.len(), 1_000);
        let longest = process_name("scheduler", host, u32::MAX);
        assert!(longest.starts_with("scheduler-pacelineworkerofthebillingdepart-4294967295-"), "{longest}");
        assert_eq!(longest.len(), NAME_BYTES_MAX);
        check_name("id", &longest).unwrap();
        check_name("id", &process_name("worker", "", 1)).unwrap();
    }

    #[test]
    fn queues_and_groups_that_could_meet_a_brokers_own_queues_are_refused() {
        for good in ["default", "mail.out", "retry.mail", "my-retry", "dead"] {
            check_queue("queue", good).unwrap();
        }
        for bad in ["retry", "mail.retry", "Mail", ""] {
            assert_eq!(check_queue("queues", bad).unwrap_err().fields[0].field, "queues", "{bad:?}");
        }
        for good in ["main", "dead-letters", "retry", "1"] {
            check_group("group", good).unwrap();
        }
        for bad in ["dead", "given-up", "main.dead", "a.b", "Main", ""] {
            assert_eq!(check_group("groups", bad).unwrap_err().fields[0].field, "groups", "{bad:?}");
        }
    }

    #[test]
    fn run_ids_sort_by_creation() {
        let (older, newer) = (RunId::generate(1_000), RunId::generate(2_000));
        assert!(older < newer);
    }
}

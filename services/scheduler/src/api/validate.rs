//! The fields of a StartRun and an UpdateRun: every bad field at once, each with a value that would be right.

use paceline_core::document::RESERVED_FIELDS;
use paceline_core::error::{Code, Result, Violations, codes};
use paceline_core::groups::Groups;
use paceline_core::ids::{DEFAULT_HANDLER, DEFAULT_QUEUE, REQUEST_ID_BYTES_MAX, RunId};
use paceline_core::pacing::{CatchUp, Rate};
use paceline_core::run::{PAYLOAD_BYTES_MAX, RunSpec, TOTAL_MAX};
use serde_json::{Map, Value};

use crate::context::Rules;

/// A StartRun as asked, nothing checked yet.
#[derive(Debug, Clone, Default)]
pub struct StartRun {
    pub jobs: u64,
    pub per_minutes: f64,
    pub total: Option<u64>,
    /// Empty: the default.
    pub queue: String,
    /// Empty: the default.
    pub handler: String,
    pub payload: Map<String, Value>,
    pub catch_up: CatchUp,
    /// Empty: none.
    pub request_id: String,
    /// The trace of the call.
    pub traceparent: Option<String>,
}

/// An UpdateRun; a field that is `None` stays as it is.
#[derive(Debug, Clone, Default)]
pub struct RunUpdate {
    pub jobs: Option<u64>,
    pub per_minutes: Option<f64>,
    /// `Some(None)` removes the total.
    pub total: Option<Option<u64>>,
}

impl Rules {
    /// The spec of a new run for `groups` created at `now_ms`, or everything that is wrong with the request.
    pub fn check(&self, ask: StartRun, groups: Groups, now_ms: i64) -> Result<RunSpec> {
        let mut violations = Violations::default();
        let rate = check_rate(&mut violations, ask.jobs, ask.per_minutes);
        check_total(&mut violations, ask.total);
        let queue = Choice { field: "queue", default: DEFAULT_QUEUE, known: &self.queues, code: codes::QUEUE_UNKNOWN };
        let queue = queue.take(&mut violations, &ask.queue);
        let handler =
            Choice { field: "handler", default: DEFAULT_HANDLER, known: &self.handlers, code: codes::HANDLER_UNKNOWN };
        let handler = handler.take(&mut violations, &ask.handler);
        check_payload(&mut violations, &ask.payload);
        if ask.request_id.len() > REQUEST_ID_BYTES_MAX {
            violations.add_coded(
                codes::REQUEST_ID_TOO_LONG,
                "request_id",
                format!("is longer than {REQUEST_ID_BYTES_MAX} bytes"),
            );
        }
        violations.check()?;
        Ok(RunSpec {
            run_id: RunId::generate(now_ms),
            rate: rate.expect("a missing rate is a violation"),
            total: ask.total,
            queue,
            groups,
            handler,
            payload: ask.payload,
            catch_up: ask.catch_up,
            created_at_ms: now_ms,
            traceparent: ask.traceparent,
        })
    }
}

/// A field that names one of several things.
struct Choice<'a> {
    field: &'static str,
    default: &'static str,
    known: &'a [String],
    code: &'static Code,
}

impl Choice<'_> {
    /// The name that was asked for, or the default; a violation if the name is not known.
    fn take(&self, violations: &mut Violations, asked: &str) -> String {
        let name = if asked.is_empty() { self.default } else { asked };
        if !self.known.iter().any(|known| known == name) {
            let (field, known) = (self.field, self.known.join(", "));
            violations.add_coded(self.code, field, format!("unknown {field} {name:?}; there are: {known}"));
        }
        name.to_owned()
    }
}

impl RunUpdate {
    /// The new rate, if one is asked for, or everything that is wrong with the request.
    pub fn check(&self) -> Result<Option<Rate>> {
        let mut violations = Violations::default();
        let rate = match (self.jobs, self.per_minutes) {
            (Some(jobs), Some(per_minutes)) => check_rate(&mut violations, jobs, per_minutes),
            (None, None) => None,
            (None, Some(_)) => {
                violations.add_coded(codes::RATE_INVALID, "jobs", "goes with per_minutes: give both, or neither");
                None
            }
            (Some(_), None) => {
                violations.add_coded(codes::RATE_INVALID, "per_minutes", "goes with jobs: give both, or neither");
                None
            }
        };
        check_total(&mut violations, self.total.flatten());
        if self.jobs.is_none() && self.per_minutes.is_none() && self.total.is_none() {
            violations.add_coded(
                codes::UPDATE_EMPTY,
                "jobs",
                "nothing to update: give jobs and per_minutes, total, or all",
            );
        }
        violations.check()?;
        Ok(rate)
    }
}

/// A checked rate, or violations added.
fn check_rate(violations: &mut Violations, jobs: u64, per_minutes: f64) -> Option<Rate> {
    match Rate::new(jobs, per_minutes) {
        Ok(rate) => Some(rate),
        Err(wrong) => {
            wrong.into_iter().for_each(|(field, why)| violations.add_coded(codes::RATE_INVALID, field, why));
            None
        }
    }
}

fn check_total(violations: &mut Violations, total: Option<u64>) {
    if total.is_some_and(|total| total == 0 || total > TOTAL_MAX) {
        violations.add_coded(
            codes::TOTAL_INVALID,
            "total",
            format!("must be 1 to {TOTAL_MAX}; leave it out to go on until stopped"),
        );
    }
}

fn check_payload(violations: &mut Violations, payload: &Map<String, Value>) {
    let bytes = serde_json::to_vec(payload).map_or(usize::MAX, |json| json.len());
    if bytes > PAYLOAD_BYTES_MAX {
        violations.add_coded(
            codes::PAYLOAD_TOO_LARGE,
            "payload",
            format!("is {bytes} bytes as JSON; the limit is {PAYLOAD_BYTES_MAX}"),
        );
    }
    for field in payload.keys().filter(|field| RESERVED_FIELDS.contains(&field.as_str())) {
        violations.add_coded(
            codes::PAYLOAD_INVALID,
            format!("payload.{field}"),
            "is a field that Paceline writes itself; choose another name",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> Rules {
        Rules { queues: vec!["default".into()], handlers: vec!["record".into()] }
    }

    fn ask() -> StartRun {
        StartRun { jobs: 1000, per_minutes: 1.0, ..StartRun::default() }
    }

    fn fields(ask: StartRun) -> Vec<String> {
        rules()
            .check(ask, Groups::default(), 0)
            .unwrap_err()
            .fields
            .into_iter()
            .map(|violation| violation.field)
            .collect()
    }

    #[test]
    fn a_good_request_gets_the_defaults() {
        let spec = rules().check(ask(), Groups::default(), 1_000).unwrap();
        assert_eq!((spec.queue.as_str(), spec.handler.as_str(), spec.created_at_ms), ("default", "record", 1_000));
    }

    #[test]
    fn every_bad_field_is_named_at_once() {
        let payload = serde_json::json!({"runId": 1, "square": 2, "fine": 3}).as_object().cloned().unwrap();
        let bad = StartRun { jobs: 0, total: Some(0), queue: "nope".into(), handler: "what".into(), payload, ..ask() };
        assert_eq!(fields(bad), ["jobs", "total", "queue", "handler", "payload.runId", "payload.square"]);
        for per_minutes in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(fields(StartRun { per_minutes, ..ask() }), ["per_minutes"]);
        }
        assert_eq!(fields(StartRun { jobs: u64::MAX, ..ask() }), ["jobs"]);
    }

    #[test]
    fn a_payload_has_a_limit() {
        let with = |bytes: usize| StartRun {
            payload: [("text".to_owned(), Value::from("x".repeat(bytes)))].into_iter().collect(),
            ..ask()
        };
        assert!(rules().check(with(PAYLOAD_BYTES_MAX - 11), Groups::default(), 0).is_ok());
        assert_eq!(fields(with(PAYLOAD_BYTES_MAX - 10)), ["payload"]);
    }
}

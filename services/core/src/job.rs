//! A job on its way: the range it is reserved in, the message it travels as, and the checks at both ends.
//!
//! Job `seq` of a run is a pure function of (run spec, range, seq), so any producer can publish a range again.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::codes;
use crate::error::{Error, Result};
use crate::ids::{JobId, RunId};
use crate::ports::broker::Message;
use crate::run::{PAYLOAD_BYTES_MAX, RunSpec};
use crate::trace::{Sampling, SpanId, TraceContext, TraceId};

/// The most jobs in one range, so in one Publish call.
pub const RANGE_JOBS_MAX: u64 = 10_000;
/// The jobs of a range of small jobs: spreads a fast run over several producers.
const RANGE_JOBS: u64 = 2_000;
/// The bytes of messages of a range, if it has more than one job, so that large payloads too are confirmed well within a call's time.
const RANGE_BYTES: u64 = 8 * 1024 * 1024;

/// The most jobs in one range of a run of `spec`.
pub fn range_jobs(spec: &RunSpec) -> u64 {
    (RANGE_BYTES / Encoder::new(spec).message_bytes_max() as u64).clamp(1, RANGE_JOBS)
}
/// The largest message that a worker accepts: the payload and our own fields.
pub const MESSAGE_BYTES_MAX: usize = PAYLOAD_BYTES_MAX + 4 * 1024;

/// The longest name of a handler that a message can carry.
const HANDLER_BYTES_MAX: usize = 255;
/// Bytes of a body besides the run's id, queue, handler and payload: names, numbers, quotes.
const FRAME_BYTES_MAX: usize = 140;

/// Jobs `first .. first + count` of a run, which fell due at `scheduled_at_ms`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Range {
    pub first: u64,
    pub count: u64,
    pub scheduled_at_ms: i64,
}

impl Range {
    pub fn end(&self) -> u64 {
        self.first + self.count
    }

    pub fn seqs(&self) -> std::ops::Range<u64> {
        self.first..self.end()
    }
}

/// The body of a message, as JSON. Any AMQP client can write one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Job {
    pub job_id: String,
    pub run_id: RunId,
    pub seq: u64,
    pub queue: String,
    pub handler: String,
    /// When it fell due, milliseconds since the Unix epoch.
    pub scheduled_at: i64,
    /// When its producer published it, milliseconds since the Unix epoch.
    pub enqueued_at: i64,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub payload: Map<String, Value>,
}

/// Writes the messages of a run's jobs; what is the same for each is encoded once.
pub struct Encoder {
    run_id: RunId,
    handler: std::sync::Arc<str>,
    /// `,"queue":…,"handler":…`
    constant: String,
    /// `,"payload":{…}}` or `}`
    tail: String,
}

impl Encoder {
    pub fn new(spec: &RunSpec) -> Self {
        let quoted = |text: &str| Value::from(text).to_string();
        let constant = format!(",\"queue\":{},\"handler\":{}", quoted(&spec.queue), quoted(&spec.handler));
        let tail = match spec.payload.is_empty() {
            true => "}".to_owned(),
            false => format!(",\"payload\":{}}}", Value::Object(spec.payload.clone())),
        };
        Self { run_id: spec.run_id.clone(), handler: spec.handler.as_str().into(), constant, tail }
    }

    /// Refuses a run whose jobs no message can carry, or no worker would take.
    pub fn check(&self) -> Result<()> {
        let run = &self.run_id;
        if self.handler.len() > HANDLER_BYTES_MAX {
            let bytes = self.handler.len();
            return Err(Error::unpublishable(format!(
                "run {run} names a handler of {bytes} bytes, and a message holds {HANDLER_BYTES_MAX}; start a new run"
            ))
            .coded(codes::HANDLER_NAME_TOO_LONG));
        }
        let bytes = self.message_bytes_max();
        if bytes > MESSAGE_BYTES_MAX {
            return Err(Error::unpublishable(format!(
                "a job of run {run} would be a message of {bytes} bytes, and workers take {MESSAGE_BYTES_MAX}; start a new run with \
                 a smaller payload"
            ))
            .coded(codes::JOB_TOO_LARGE));
        }
        Ok(())
    }

    /// No message of the run has a longer body.
    pub fn message_bytes_max(&self) -> usize {
        2 * self.run_id.as_str().len() + self.constant.len() + self.tail.len() + FRAME_BYTES_MAX
    }

    /// Job `seq` of `range`, published at `enqueued_at_ms`, as its first attempt. If its trace is recorded, the message says so, and
    /// names a new span for its publishing.
    pub fn message(&self, range: &Range, seq: u64, enqueued_at_ms: i64, sampling: Sampling) -> Message {
        use std::fmt::Write as _;
        debug_assert!(range.seqs().contains(&seq));
        let (run, constant, tail, scheduled) = (&self.run_id, &self.constant, &self.tail, range.scheduled_at_ms);
        let mut body = String::with_capacity(self.message_bytes_max());
        // Writing to a String cannot fail.
        _ = write!(
            body,
            "{{\"jobId\":\"{run}-{seq}\",\"runId\":\"{run}\",\"seq\":{seq}{constant},\
             \"scheduledAt\":{scheduled},\"enqueuedAt\":{enqueued_at_ms}{tail}"
        );
        let id = format!("{run}-{seq}");
        Message {
            traceparent: traceparent(&id, sampling),
            id,
            handler: self.handler.clone(),
            run: self.run_id.as_str().into(),
            seq: Some(seq),
            attempt: 1,
            timestamp_ms: enqueued_at_ms,
            body: Bytes::from(body),
        }
    }
}

fn traceparent(job_id: &str, sampling: Sampling) -> Option<String> {
    if sampling == Sampling::NONE {
        return None;
    }
    let trace = TraceId::of_job(job_id);
    let context = TraceContext { trace, span: SpanId::random(), is_sampled: true };
    sampling.takes(trace).then(|| context.to_string())
}

impl Job {
    /// Reads a message from a queue. The error is the reason for which it goes to the dead queue.
    pub fn decode(message: &Message) -> std::result::Result<Self, String> {
        if message.body.len() > MESSAGE_BYTES_MAX {
            return Err(format!("message of {} bytes is over the limit of {MESSAGE_BYTES_MAX}", message.body.len()));
        }
        if message.id.is_empty() {
            return Err("message has no id: set message_id to the jobId".into());
        }
        let job: Self =
            serde_json::from_slice(&message.body).map_err(|e| format!("body is not a Paceline job: {e}"))?;
        let is_own_id = JobId::parse(&job.job_id).is_some_and(|id| id.run == job.run_id && id.seq == job.seq);
        if !is_own_id {
            return Err(format!(
                "jobId {:?} is not <runId>-<seq> of the body ({}-{})",
                job.job_id, job.run_id, job.seq
            ));
        }
        if message.id != job.job_id {
            return Err(format!("message_id {:?} differs from the body's jobId {:?}", message.id, job.job_id));
        }
        Ok(job)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::groups::Groups;
    use crate::pacing::{CatchUp, Rate};

    fn spec(payload: Value) -> RunSpec {
        RunSpec {
            run_id: RunId::parse("r1").unwrap(),
            rate: Rate::new(10, 1.0).unwrap(),
            total: None,
            queue: "default".into(),
            groups: Groups::default(),
            handler: "record".into(),
            payload: payload.as_object().cloned().unwrap_or_default(),
            catch_up: CatchUp::All,
            created_at_ms: 5,
            traceparent: None,
        }
    }

    #[test]
    fn what_is_encoded_decodes_to_the_same_job() {
        for payload in [serde_json::json!({}), serde_json::json!({"to": "a\"b", "n": [1, {"x": null}]})] {
            let spec = spec(payload.clone());
            let range = Range { first: 7, count: 3, scheduled_at_ms: 1000 };
            let message = Encoder::new(&spec).message(&range, 8, 1234, Sampling::NONE);
            let job = Job::decode(&message).unwrap();
            assert_eq!((job.job_id.as_str(), job.seq, job.scheduled_at, job.enqueued_at), ("r1-8", 8, 1000, 1234));
            assert_eq!(Value::Object(job.payload), payload);
            assert_eq!((message.run.as_ref(), message.seq), ("r1", Some(8)));
        }
    }

    #[test]
    fn a_message_carries_the_trace_of_its_job_if_that_is_recorded() {
        let (encoder, range) = (Encoder::new(&spec(Value::Null)), Range { first: 0, count: 1, scheduled_at_ms: 0 });
        let message = || encoder.message(&range, 0, 0, Sampling::ALL);
        let contexts =
            [message(), message()].map(|message| TraceContext::parse(&message.traceparent.unwrap()).unwrap());
        assert!(contexts.iter().all(|context| context.trace == TraceId::of_job("r1-0") && context.is_sampled));
        assert_ne!(contexts[0].span, contexts[1].span, "published twice is two spans of one trace");
        assert_eq!(encoder.message(&range, 0, 0, Sampling::NONE).traceparent, None);
    }

    #[test]
    fn a_run_whose_jobs_cannot_travel_is_named_and_no_message_is_longer_than_said() {
        let fits = Encoder::new(&spec(serde_json::json!({"text": "x".repeat(PAYLOAD_BYTES_MAX - 11)})));
        fits.check().unwrap();
        let last = Range { first: u64::MAX - 1, count: 1, scheduled_at_ms: i64::MIN };
        assert!(fits.message(&last, u64::MAX - 1, i64::MIN, Sampling::NONE).body.len() <= fits.message_bytes_max());
        let too_large = spec(serde_json::json!({"text": "x".repeat(MESSAGE_BYTES_MAX)}));
        let odd_handler = RunSpec { handler: "h".repeat(256), ..spec(Value::Null) };
        for (spec, word) in [(too_large, "payload"), (odd_handler, "handler")] {
            let refused = Encoder::new(&spec).check().unwrap_err();
            assert!(refused.kind == crate::ErrorKind::Unpublishable && refused.message.contains(word), "{refused}");
        }
    }

    #[test]
    fn what_is_not_ours_is_refused_with_a_reason() {
        let good = Encoder::new(&spec(Value::Null)).message(
            &Range { first: 0, count: 1, scheduled_at_ms: 0 },
            0,
            0,
            Sampling::NONE,
        );
        let with_body = |body: &str| Message { body: Bytes::from(body.to_owned()), ..good.clone() };
        let cases = [
            (with_body("hello"), "not a Paceline job"),
            (with_body("{}"), "not a Paceline job"),
            (Message { id: String::new(), ..good.clone() }, "no id"),
            (Message { id: "r1-1".into(), ..good.clone() }, "differs"),
            (
                with_body(&String::from_utf8(good.body.to_vec()).unwrap().replace("\"seq\":0", "\"seq\":1")),
                "not <runId>-<seq>",
            ),
            (with_body(&" ".repeat(MESSAGE_BYTES_MAX + 1)), "over the limit"),
        ];
        for (message, reason) in cases {
            let refused = Job::decode(&message).unwrap_err();
            assert!(refused.contains(reason), "{refused}");
        }
    }
}

//! Writes the messages of a run's jobs, refuses a run whose jobs cannot travel, and says how many of them make a range.

use bytes::Bytes;
use serde_json::Value;

use super::body::MESSAGE_BYTES_MAX;
use super::range::Range;
use crate::error::codes;
use crate::error::{Error, Result};
use crate::ids::RunId;
use crate::ports::broker::Message;
use crate::run::RunSpec;
use crate::trace::{Sampling, SpanId, TraceContext, TraceId};

/// The jobs of a range of small jobs: spreads a fast run over several producers.
const RANGE_JOBS: u64 = 2_000;
/// The bytes of messages of a range, if it has more than one job, so that large payloads too are confirmed well within a call's time.
const RANGE_BYTES: u64 = 8 * 1024 * 1024;
/// The longest name of a handler that a message can carry.
const HANDLER_BYTES_MAX: usize = 255;
/// Bytes of a body besides the run's id, queue, handler and payload: names, numbers, quotes.
const FRAME_BYTES_MAX: usize = 140;

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
            )).coded(codes::JOB_TOO_LARGE));
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

/// The most jobs in one range of a run of `spec`.
pub fn range_jobs(spec: &RunSpec) -> u64 {
    (RANGE_BYTES / Encoder::new(spec).message_bytes_max() as u64).clamp(1, RANGE_JOBS)
}

fn traceparent(job_id: &str, sampling: Sampling) -> Option<String> {
    if sampling == Sampling::NONE {
        return None;
    }
    let trace = TraceId::of_job(job_id);
    let context = TraceContext { trace, span: SpanId::random(), is_sampled: true };
    sampling.takes(trace).then(|| context.to_string())
}

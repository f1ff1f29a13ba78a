//! Writes the spans of a job: waited, processed, stored, counted, acknowledged; and the root, when the job has ended.
//!
//! A trace that is sampled from its beginning is written step by step, so the steps of a killed worker are seen. Of any other trace only
//! times are kept: if the job is tried again, delivered again, dead or slow, the whole tree is written from them and from the envelope
//! afterwards.

use std::time::Duration;

use paceline_core::document::{Document, Status};
use paceline_core::trace::span::{Span, SpanKind};
use paceline_core::trace::{SpanId, TraceContext, TraceId};
use paceline_runtime::telemetry::names::{attribute, span};
use paceline_runtime::telemetry::traces::Traces;

use super::way::{Steps, Way};
use crate::context::{Config, Context};

/// The most jobs that a bulk request is linked to.
const LINKS_MAX: usize = 128;

/// Writes the spans of one worker's jobs.
pub struct Scribe<'a> {
    traces: &'a Traces,
    worker: &'a str,
    group: &'a str,
}

/// A retry that the delay queue has.
pub struct RetrySpan<'a> {
    pub job_id: &'a str,
    pub queue: &'a str,
    pub reason: &'a str,
    /// The next attempt continues this context.
    pub next: TraceContext,
    pub delay: Duration,
    pub now_us: i64,
}

impl<'a> Scribe<'a> {
    pub fn of(context: &'a Context) -> Self {
        let Config { id, group, instruments, .. } = &context.config;
        Self { traces: &instruments.traces, worker: id, group }
    }
}

impl Scribe<'_> {
    /// The sink has a batch: writes the request, and the first steps of the jobs that are followed.
    pub fn stored<'a>(&self, jobs: impl Iterator<Item = (&'a Document, &'a mut Way)>, steps: Steps) {
        if !self.traces.is_on() {
            return;
        }
        let (mut count, mut followed, mut queue) = (0, Vec::new(), None);
        for (document, way) in jobs {
            count += 1;
            queue.get_or_insert_with(|| document.queue.clone());
            if way.is_followed() {
                followed.push((document, way));
            }
        }
        if followed.is_empty() {
            return;
        }
        if !self.traces.has_room() {
            return self.traces.skipped();
        }
        let links: Vec<_> = followed.iter().take(LINKS_MAX).map(|(document, way)| self.root(document, way)).collect();
        let bulk = Span::new(TraceId(fastrand::u128(1..)), None, span::BULK, (steps.sent_us, steps.stored_us))
            .kind(SpanKind::Client)
            .text(attribute::DESTINATION, queue.unwrap_or_default())
            .text(attribute::WORKER, self.worker.to_owned())
            .int(attribute::BATCH, count)
            .links(links);
        let context = bulk.context();
        self.traces.write(bulk);
        for (document, way) in followed {
            self.begin(document, way, steps, Some(context));
        }
    }

    /// A job has ended for good, and its ack is given: writes the rest of the job's tree, if the job is followed or turned out to be worth it.
    pub fn settled(&self, document: &Document, way: &mut Way, steps: Steps, settled_us: i64) {
        if !self.traces.is_on() {
            return;
        }
        let reason = self.reason(document, way, settled_us);
        if !way.is_followed() && reason.is_none() {
            return;
        }
        // Nobody makes thousands of spans only to see them dropped, when all jobs are slow.
        if !self.traces.has_room() {
            return self.traces.skipped();
        }
        if !way.is_begun {
            self.begin(document, way, steps, None);
        }
        self.end(document, way, steps, settled_us);
        self.write_root(document, way, reason, settled_us);
    }

    fn end(&self, document: &Document, way: &Way, steps: Steps, settled_us: i64) {
        let parent = Some(SpanId::of_root(&document.job_id, self.group));
        self.traces.write(Span::new(way.trace, parent, span::COUNT, (steps.stored_us, steps.counted_us)));
        let last = if document.status == Status::Dead { span::BURY } else { span::ACK };
        self.traces.write(Span::new(way.trace, parent, last, (steps.counted_us, settled_us)));
    }

    fn write_root(&self, document: &Document, way: &Way, reason: Option<&'static str>, settled_us: i64) {
        let id = SpanId::of_root(&document.job_id, self.group);
        let times = (document.scheduled_at.saturating_mul(1000), settled_us);
        let mut root = self
            .about(Span::new(way.trace, None, span::JOB, times).id(id), document)
            .text(attribute::STATUS, document.status.name())
            .int(attribute::ATTEMPT, way.attempt)
            .error(document.error.clone());
        if let Some(reason) = reason {
            root = root.text(attribute::REASON, reason);
        }
        self.traces.write(root);
    }

    /// The trace of a job of a batch in flight that will be there to be looked at, if one is.
    pub fn example<'a>(&self, ways: impl IntoIterator<Item = &'a Way>) -> Option<TraceId> {
        if !self.traces.has_room() {
            return None;
        }
        ways.into_iter().find(|way| way.is_followed()).map(|way| way.trace)
    }

    /// True if the trace of a job that has just been counted is sampled, or will be as soon as its ack is given.
    pub fn keeps(&self, document: &Document, way: &Way, now_us: i64) -> bool {
        way.is_begun || (self.traces.has_room() && self.reason(document, way, now_us).is_some())
    }

    /// The reason for which the trace of a job that has ended is written, chosen or not.
    fn reason(&self, document: &Document, way: &Way, now_us: i64) -> Option<&'static str> {
        let took_us = now_us.saturating_sub(document.scheduled_at.saturating_mul(1000));
        let slow = self.traces.slow()?;
        let is_slow = u128::try_from(took_us).is_ok_and(|us| us >= slow.as_micros());
        match document.status {
            Status::Dead => Some("dead"),
            _ if way.attempt > 1 => Some("retried"),
            _ if way.redeliveries > 0 => Some("redelivered"),
            _ if is_slow => Some("slow"),
            Status::Completed => None,
        }
    }

    /// The context that the next attempt of a job continues; none if nothing is traced.
    pub fn next_attempt(&self, way: &Way) -> Option<TraceContext> {
        let context = TraceContext { trace: way.trace, span: SpanId::random(), is_sampled: true };
        self.traces.is_on().then_some(context)
    }

    /// An attempt failed, and the delay queue has the next one: writes its spans. False if there is no room for them.
    pub fn retried(&self, way: &Way, retry: &RetrySpan<'_>) -> bool {
        if !self.traces.has_room() {
            self.traces.skipped();
            return false;
        }
        let parent = Some(SpanId::of_root(retry.job_id, self.group));
        self.arrive(retry.job_id, retry.queue, way);
        self.traces.write(self.process(retry.job_id, retry.queue, way).error(Some(retry.reason.to_owned())));
        let retried = Span::new(way.trace, parent, span::RETRY, (way.ended_us, retry.now_us))
            .id(retry.next.span)
            .kind(SpanKind::Producer)
            .text(attribute::DESTINATION, retry.queue.to_owned())
            .int(attribute::DELAY_MS, retry.delay.as_millis())
            .int(attribute::ATTEMPT, way.attempt);
        self.traces.write(retried);
        true
    }

    fn begin(&self, document: &Document, way: &mut Way, steps: Steps, bulk: Option<TraceContext>) {
        way.is_begun = true;
        self.arrive(&document.job_id, &document.queue, way);
        let process = self.process(&document.job_id, &document.queue, way);
        self.traces.write(process.error(document.error.clone()));
        let parent = Some(SpanId::of_root(&document.job_id, self.group));
        let store = Span::new(way.trace, parent, span::STORE, (way.ended_us, steps.stored_us))
            .kind(SpanKind::Client)
            .text(attribute::WORKER, self.worker.to_owned())
            .links(bulk.into_iter().collect());
        self.traces.write(store);
    }

    /// The spans before this worker: the waiting, and the publishing if nobody has written that.
    fn arrive(&self, job_id: &str, queue: &str, way: &Way) {
        let parent = Some(SpanId::of_root(job_id, self.group));
        if !way.is_chosen() && way.attempt == 1 {
            let published = Span::new(
                way.trace,
                parent,
                format!("{} {queue}", span::PUBLISH),
                (way.published_us, way.published_us),
            );
            self.traces.write(published.kind(SpanKind::Producer).text(attribute::DESTINATION, queue.to_owned()));
        }
        let wait = Span::new(way.trace, parent, span::WAIT, (way.published_us, way.started_us));
        self.traces.write(wait.text(attribute::DESTINATION, queue.to_owned()).links(way.context.into_iter().collect()));
    }

    fn process(&self, job_id: &str, queue: &str, way: &Way) -> Span {
        let parent = Some(SpanId::of_root(job_id, self.group));
        Span::new(way.trace, parent, format!("{} {queue}", span::PROCESS), (way.started_us, way.ended_us))
            .kind(SpanKind::Consumer)
            .text(attribute::OPERATION, "process")
            .text(attribute::DESTINATION, queue.to_owned())
            .text(attribute::MESSAGE, job_id.to_owned())
            .text(attribute::GROUP, self.group.to_owned())
            .text(attribute::WORKER, self.worker.to_owned())
            .int(attribute::ATTEMPT, way.attempt)
            .int(attribute::REDELIVERIES, way.redeliveries)
    }

    fn about(&self, span: Span, document: &Document) -> Span {
        span.text(attribute::JOB, document.job_id.clone())
            .text(attribute::RUN, document.run_id.to_string())
            .int(attribute::SEQ, document.seq)
            .text(attribute::DESTINATION, document.queue.clone())
            .text(attribute::GROUP, self.group.to_owned())
    }

    fn root(&self, document: &Document, way: &Way) -> TraceContext {
        TraceContext { trace: way.trace, span: SpanId::of_root(&document.job_id, self.group), is_sampled: true }
    }
}

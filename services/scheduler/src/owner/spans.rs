//! The spans of reserving: one for each job of a range whose trace is sampled, linked to the call that started the run.

use paceline_core::ids::JobId;
use paceline_core::job::Range;
use paceline_core::run::RunSpec;
use paceline_core::trace::span::Span;
use paceline_core::trace::{Sampling, SpanId, TraceContext, TraceId};
use paceline_runtime::telemetry::names::{attribute, span};
use paceline_runtime::telemetry::traces::Traces;

/// The spans of what `scheduler` reserves of a run.
pub struct ReserveSpans<'a> {
    pub traces: &'a Traces,
    pub sampling: Sampling,
    pub scheduler: &'a str,
    pub spec: &'a RunSpec,
}

impl ReserveSpans<'_> {
    /// Writes that `range` was reserved by `now_us`.
    pub fn write(&self, range: &Range, now_us: i64) {
        if self.sampling == Sampling::NONE || !self.traces.has_room() {
            return;
        }
        let caller = self.spec.traceparent.as_deref().and_then(TraceContext::parse);
        let started_by: Vec<_> = caller.into_iter().collect();
        for seq in range.seqs() {
            let job_id = JobId::new(self.spec.run_id.clone(), seq).to_string();
            let trace = TraceId::of_job(&job_id);
            if self.sampling.takes(trace) {
                let root = SpanId::of_root(&job_id, self.spec.groups.first());
                let times = (range.scheduled_at_ms * 1000, now_us);
                let reserved = Span::new(trace, Some(root), span::RESERVE, times)
                    .text(attribute::RUN, self.spec.run_id.to_string())
                    .text(attribute::JOB, job_id)
                    .int(attribute::SEQ, seq)
                    .text(attribute::SCHEDULER, self.scheduler.to_owned())
                    .links(started_by.clone());
                self.traces.write(reserved);
            }
        }
    }
}

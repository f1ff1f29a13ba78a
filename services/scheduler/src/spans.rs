//! The spans of reserving: one for each job of a range whose trace is recorded, linked to the call that started the run.

use paceline_core::ids::JobId;
use paceline_core::job::Range;
use paceline_core::run::RunSpec;
use paceline_core::trace::span::Span;
use paceline_core::trace::{Sampling, SpanId, TraceContext, TraceId};
use paceline_runtime::telemetry::names::{attribute, span};
use paceline_runtime::telemetry::traces::Traces;

/// Writes that `scheduler` has reserved `range` at `now_us`.
pub fn reserved(traces: &Traces, sampling: Sampling, (scheduler, spec): (&str, &RunSpec), range: &Range, now_us: i64) {
    if sampling == Sampling::NONE || !traces.has_room() {
        return;
    }
    let started_by: Vec<_> = spec.traceparent.as_deref().and_then(TraceContext::parse).into_iter().collect();
    for seq in range.seqs() {
        let job_id = JobId::new(spec.run_id.clone(), seq).to_string();
        let trace = TraceId::of_job(&job_id);
        if !sampling.takes(trace) {
            continue;
        }
        let root = SpanId::of_root(&job_id, spec.groups.first());
        let reserved = Span::new(trace, Some(root), span::RESERVE, (range.scheduled_at_ms * 1000, now_us))
            .text(attribute::RUN, spec.run_id.to_string())
            .text(attribute::JOB, job_id)
            .int(attribute::SEQ, seq)
            .text(attribute::SCHEDULER, scheduler.to_owned())
            .links(started_by.clone());
        traces.write(reserved);
    }
}

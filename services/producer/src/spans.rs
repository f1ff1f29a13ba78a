//! The spans of publishing: one for each job whose trace is recorded, under the id that its message carries.

use paceline_core::Result;
use paceline_core::ports::broker::{Confirm, Message};
use paceline_core::trace::span::{Kind, Span};
use paceline_core::trace::{SpanId, TraceContext};
use paceline_runtime::telemetry::names::{attribute, span};
use paceline_runtime::telemetry::traces::Traces;

/// A message of a batch whose trace is recorded.
pub struct Traced {
    index: usize,
    job_id: String,
    context: TraceContext,
}

pub fn traced(messages: &[Message]) -> Vec<Traced> {
    let one = |(index, message): (usize, &Message)| {
        let context = TraceContext::parse(message.traceparent.as_deref()?)?;
        Some(Traced { index, job_id: message.id.clone(), context })
    };
    messages.iter().enumerate().filter_map(one).collect()
}

/// Writes what became of each.
pub fn write(
    traces: &Traces,
    traced: Vec<Traced>,
    (producer, queue, group): (&str, &str, &str),
    times: (i64, i64),
    published: &Result<Vec<Confirm>>,
) {
    for Traced { index, job_id, context } in traced {
        let error = match published.as_ref().map(|confirms| confirms.get(index)) {
            Ok(Some(Confirm::Confirmed)) => None,
            Ok(Some(Confirm::Unroutable)) => Some("no queue takes it".to_owned()),
            Ok(Some(Confirm::Refused(reason))) => Some(reason.clone()),
            Ok(None) => Some("the broker gave no answer".to_owned()),
            Err(error) => Some(error.message.clone()),
        };
        let root = SpanId::of_root(&job_id, group);
        let published = Span::new(context.trace, Some(root), format!("{} {queue}", span::PUBLISH), times)
            .id(context.span)
            .kind(Kind::Producer)
            .text(attribute::OPERATION, "send")
            .text(attribute::DESTINATION, queue.to_owned())
            .text(attribute::MESSAGE, job_id)
            .text(attribute::PRODUCER, producer.to_owned())
            .error(error);
        traces.write(published);
    }
}

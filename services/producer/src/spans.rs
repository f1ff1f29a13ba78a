//! The spans of publishing: one for each job whose trace is sampled, under the id that its message carries.

use paceline_core::Result;
use paceline_core::ports::broker::{Confirm, Message};
use paceline_core::trace::span::{Span, SpanKind};
use paceline_core::trace::{SpanId, TraceContext};
use paceline_runtime::telemetry::names::{attribute, span};
use paceline_runtime::telemetry::traces::Traces;

/// A message whose trace is sampled.
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

/// The spans of one publish.
pub struct PublishSpans<'a> {
    pub traces: &'a Traces,
    pub producer: &'a str,
    pub queue: &'a str,
    pub group: &'a str,
    /// Begin and end.
    pub times_us: (i64, i64),
}

impl PublishSpans<'_> {
    /// Writes the fate of each traced message.
    pub fn write(&self, traced: Vec<Traced>, published: &Result<Vec<Confirm>>) {
        for Traced { index, job_id, context } in traced {
            let root = SpanId::of_root(&job_id, self.group);
            let name = format!("{} {}", span::PUBLISH, self.queue);
            let published = Span::new(context.trace, Some(root), name, self.times_us)
                .id(context.span)
                .kind(SpanKind::Producer)
                .text(attribute::OPERATION, "send")
                .text(attribute::DESTINATION, self.queue.to_owned())
                .text(attribute::MESSAGE, job_id)
                .text(attribute::PRODUCER, self.producer.to_owned())
                .error(failure(published, index));
            self.traces.write(published);
        }
    }
}

/// The reason for which message `index` is not published.
fn failure(published: &Result<Vec<Confirm>>, index: usize) -> Option<String> {
    match published.as_ref().map(|confirms| confirms.get(index)) {
        Ok(Some(Confirm::Confirmed)) => None,
        Ok(Some(Confirm::Unroutable)) => Some("no queue takes it".to_owned()),
        Ok(Some(Confirm::Refused(reason))) => Some(reason.clone()),
        Ok(None) => Some("the broker gave no answer".to_owned()),
        Err(error) => Some(error.message.clone()),
    }
}

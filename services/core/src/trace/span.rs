//! A span as the roles write it: ids, times and words, of no tracing library.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::context::TraceContext;
use super::ids::{SpanId, TraceId};

/// The longest text of a span, in bytes; the rest is cut off. What waits for the exporter is bounded by it.
const TEXT_BYTES_MAX: usize = 1_024;

/// The role of a span towards messages, as OpenTelemetry tells them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SpanKind {
    Internal,
    Producer,
    Consumer,
    Client,
    Server,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum AttributeValue {
    Int(i64),
    Text(Cow<'static, str>),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Span {
    pub trace: TraceId,
    pub id: SpanId,
    pub parent: Option<SpanId>,
    pub name: Cow<'static, str>,
    pub kind: SpanKind,
    /// Microseconds since the Unix epoch.
    pub start_us: i64,
    pub end_us: i64,
    pub attributes: Vec<(Cow<'static, str>, AttributeValue)>,
    pub links: Vec<TraceContext>,
    /// The reason for which the span's work failed.
    pub error: Option<String>,
}

impl Span {
    /// A span of a trace with an id of its own.
    pub fn new(
        trace: TraceId,
        parent: Option<SpanId>,
        name: impl Into<Cow<'static, str>>,
        (start_us, end_us): (i64, i64),
    ) -> Self {
        Self {
            trace,
            id: SpanId::random(),
            parent,
            name: shorten(name.into()),
            kind: SpanKind::Internal,
            start_us,
            // Clocks step, and two machines have two.
            end_us: end_us.max(start_us),
            attributes: Vec::new(),
            links: Vec::new(),
            error: None,
        }
    }

    pub fn id(self, id: SpanId) -> Self {
        Self { id, ..self }
    }

    pub fn kind(self, kind: SpanKind) -> Self {
        Self { kind, ..self }
    }

    pub fn text(mut self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Self {
        self.attributes.push((name.into(), AttributeValue::Text(shorten(value.into()))));
        self
    }

    pub fn int(mut self, name: &'static str, value: impl TryInto<i64>) -> Self {
        self.attributes.push((name.into(), AttributeValue::Int(value.try_into().unwrap_or(i64::MAX))));
        self
    }

    pub fn links(self, links: Vec<TraceContext>) -> Self {
        Self { links, ..self }
    }

    pub fn error(self, error: Option<String>) -> Self {
        Self { error: error.map(|text| shorten(text.into()).into_owned()), ..self }
    }

    /// The value of an attribute, as text; empty where there is none.
    pub fn attribute(&self, name: &str) -> String {
        let value = self.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value);
        match value {
            Some(AttributeValue::Text(text)) => text.to_string(),
            Some(AttributeValue::Int(number)) => number.to_string(),
            None => String::new(),
        }
    }

    /// Where it is, for others to link to or to continue.
    pub fn context(&self) -> TraceContext {
        TraceContext { trace: self.trace, span: self.id, is_sampled: true }
    }
}

/// Cuts at a character's boundary.
fn shorten(text: Cow<'static, str>) -> Cow<'static, str> {
    match text.len() {
        ..=TEXT_BYTES_MAX => text,
        _ => text[..text.floor_char_boundary(TEXT_BYTES_MAX)].to_owned().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_is_longer_than_its_bound() {
        let long = "é".repeat(TEXT_BYTES_MAX);
        let span = Span::new(TraceId(1), None, long.clone(), (5, 1)).text("a", long.clone()).error(Some(long));
        assert_eq!((span.name.len(), span.attribute("a").len()), (TEXT_BYTES_MAX, TEXT_BYTES_MAX));
        assert_eq!(span.error.map(|error| error.len()), Some(TEXT_BYTES_MAX));
        assert_eq!((span.start_us, span.end_us), (5, 5), "clocks step");
    }
}

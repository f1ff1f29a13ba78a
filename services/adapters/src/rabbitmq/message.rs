//! A port's message as AMQP properties and headers, and back. What a foreign client sends is never trusted and never fatal.

use std::sync::Arc;

use bytes::Bytes;
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};
use paceline_core::error::codes;
use paceline_core::ids::NAME_BYTES_MAX;
use paceline_core::ports::broker::Message;
use paceline_core::{Error, Result};

use super::endpoint::SHORT_STRING_BYTES_MAX;
use super::properties::{self, HeaderValue, Properties};

const RUN: &str = "x-paceline-run";
const SEQ: &str = "x-paceline-seq";
const ATTEMPT: &str = "x-paceline-attempt";
const TRACEPARENT: &str = "traceparent";
/// AMQP's timestamp has whole seconds; this header, which RabbitMQ itself uses too, has the milliseconds.
const TIMESTAMP_MS: &str = "timestamp_in_ms";
/// The header with the reason for which a message is in the dead queue.
const REASON: &str = "x-paceline-reason";

/// The longest text that goes into a header; all headers of a message share one frame.
const REASON_BYTES_MAX: usize = 8 * 1024;
const TRACEPARENT_BYTES_MAX: usize = 256;

/// The exchange and the routing key that a batch is published to, with the reason if that is a dead queue.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    pub exchange: &'a str,
    pub routing_key: &'a str,
    pub reason: Option<&'a str>,
}

/// Refuses what cannot be written as AMQP.
pub fn check(message: &Message) -> Result<()> {
    let too_long = |field: &str, max: usize| {
        Err(Error::invalid_field(field, format!("longer than {max} bytes")).coded(codes::MESSAGE_FIELD_TOO_LONG))
    };
    if message.id.len() > SHORT_STRING_BYTES_MAX {
        return too_long("message.id", SHORT_STRING_BYTES_MAX);
    }
    if message.handler.len() > SHORT_STRING_BYTES_MAX {
        return too_long("message.handler", SHORT_STRING_BYTES_MAX);
    }
    if message.run.len() > NAME_BYTES_MAX {
        return too_long("message.run", NAME_BYTES_MAX);
    }
    if message.traceparent.as_ref().is_some_and(|text| text.len() > TRACEPARENT_BYTES_MAX) {
        return too_long("message.traceparent", TRACEPARENT_BYTES_MAX);
    }
    Ok(())
}

/// The properties of a persistent JSON message. `index` goes into the correlation id, by which a returned message is known again.
pub fn properties(message: &Message, index: usize, reason: Option<&str>) -> BasicProperties {
    const PERSISTENT: u8 = 2;
    let timestamp_s = u64::try_from(message.timestamp_ms / 1000).unwrap_or(0);
    let mut properties = BasicProperties::default()
        .with_content_type("application/json".into())
        .with_delivery_mode(PERSISTENT)
        .with_correlation_id(index.to_string().into())
        .with_timestamp(timestamp_s)
        .with_headers(headers(message, reason));
    if !message.id.is_empty() {
        properties = properties.with_message_id(message.id.as_str().into());
    }
    if !message.handler.is_empty() {
        properties = properties.with_type(message.handler.as_ref().into());
    }
    properties
}

fn headers(message: &Message, reason: Option<&str>) -> FieldTable {
    let mut headers = FieldTable::default();
    let mut put = |key: &str, value: AMQPValue| {
        headers.insert(key.into(), value);
    };
    if !message.run.is_empty() {
        put(RUN, text_value(&message.run));
    }
    if let Some(seq) = message.seq.and_then(|seq| i64::try_from(seq).ok()) {
        put(SEQ, AMQPValue::LongLongInt(seq));
    }
    put(ATTEMPT, AMQPValue::LongLongInt(message.attempt.into()));
    if message.timestamp_ms % 1000 != 0 {
        put(TIMESTAMP_MS, AMQPValue::LongLongInt(message.timestamp_ms));
    }
    if let Some(traceparent) = &message.traceparent {
        put(TRACEPARENT, text_value(traceparent));
    }
    if let Some(reason) = reason {
        put(REASON, text_value(&reason[..reason.floor_char_boundary(REASON_BYTES_MAX)]));
    }
    headers
}

fn text_value(text: &str) -> AMQPValue {
    AMQPValue::LongString(text.into())
}

/// Reads messages of one queue; remembers the texts that repeat, so that each is held once.
#[derive(Debug)]
pub struct Decoder {
    handler: Arc<str>,
    run: Arc<str>,
}

/// The parts of the headers that are not the message's.
#[derive(Debug, Default, PartialEq)]
pub struct Envelope {
    pub deliveries_before: u32,
    /// The reason for which the message is in the dead queue.
    pub reason: Option<String>,
    /// The reason for which the broker moved the message last.
    pub broker_reason: Option<String>,
}

impl Default for Decoder {
    fn default() -> Self {
        Self { handler: "".into(), run: "".into() }
    }
}

impl Decoder {
    /// Reads what the guard put together: properties and body. What cannot be read is left out: whoever handles the message says what
    /// is missing.
    pub fn decode(&mut self, redelivered: bool, data: Bytes) -> (Message, Envelope) {
        let properties = Properties::of(&data);
        let timestamp_ms = properties.timestamp_s.and_then(|s| i64::try_from(s).ok()?.checked_mul(1000));
        let mut message = Message {
            id: properties.message_id.to_owned(),
            handler: known(&mut self.handler, properties.kind),
            run: known(&mut self.run, ""),
            seq: None,
            attempt: 1,
            timestamp_ms: timestamp_ms.unwrap_or(0),
            traceparent: None,
            body: Bytes::new(),
        };
        let mut envelope = Envelope { deliveries_before: u32::from(redelivered), ..Envelope::default() };
        for (key, value) in properties.headers() {
            self.read_header(key, value, &mut message, &mut envelope);
        }
        message.body = properties::body(data);
        (message, envelope)
    }

    fn read_header(&mut self, key: &str, value: HeaderValue<'_>, message: &mut Message, envelope: &mut Envelope) {
        match (key, value) {
            (RUN, HeaderValue::Text(run)) if run.len() <= NAME_BYTES_MAX => message.run = known(&mut self.run, run),
            (SEQ, HeaderValue::Int(seq)) => message.seq = u64::try_from(seq).ok(),
            (ATTEMPT, HeaderValue::Int(attempt)) => message.attempt = u32::try_from(attempt).unwrap_or(1).max(1),
            (TIMESTAMP_MS, HeaderValue::Int(timestamp_ms)) => message.timestamp_ms = timestamp_ms,
            (TRACEPARENT, HeaderValue::Text(traceparent)) if traceparent.len() <= TRACEPARENT_BYTES_MAX => {
                message.traceparent = Some(traceparent.to_owned());
            }
            (REASON, HeaderValue::Text(reason)) => envelope.reason = Some(reason.to_owned()),
            // RabbitMQ 4 counts acquisitions apart from failed deliveries; every one of them is a delivery to us.
            ("x-delivery-count" | "x-acquired-count", HeaderValue::Int(count)) => {
                envelope.deliveries_before = envelope.deliveries_before.max(u32::try_from(count).unwrap_or(0));
            }
            ("x-death", HeaderValue::Array(deaths)) => envelope.broker_reason = last_death(deaths),
            _ => (),
        }
    }
}

/// The reason in the first table of `x-death`, which is the most recent.
fn last_death(deaths: &[u8]) -> Option<String> {
    let Some(HeaderValue::Table(death)) = properties::values(deaths).next() else { return None };
    let reason = |(key, value)| match (key, value) {
        ("reason", HeaderValue::Text(reason)) => Some(reason.to_owned()),
        _ => None,
    };
    properties::entries(death).find_map(reason)
}

/// The index that the properties of a returned message carry.
pub fn returned_index(data: &[u8]) -> Option<usize> {
    Properties::of(data).correlation_id.parse().ok()
}

fn known(last: &mut Arc<str>, text: &str) -> Arc<str> {
    if last.as_ref() != text {
        if text.is_empty() {
            return "".into();
        }
        *last = text.into();
    }
    last.clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn empty() -> Message {
        Message {
            id: String::new(),
            handler: "".into(),
            run: "".into(),
            seq: None,
            attempt: 1,
            timestamp_ms: 0,
            traceparent: None,
            body: Bytes::new(),
        }
    }

    /// The properties as lapin writes them.
    fn written(properties: &BasicProperties) -> Vec<u8> {
        let writer = lapin::protocol::basic::gen_properties(properties);
        writer(Vec::new().into()).unwrap().into_inner().0
    }

    /// The properties as the guard puts them together.
    fn data(properties: &BasicProperties) -> Bytes {
        let properties = written(properties);
        let length = u32::try_from(properties.len()).unwrap();
        [&length.to_be_bytes(), properties.as_slice()].concat().into()
    }

    fn decoded(headers: FieldTable) -> (Message, Envelope) {
        Decoder::default().decode(true, data(&BasicProperties::default().with_headers(headers)))
    }

    #[test]
    fn headers_read_back_and_foreign_ones_change_nothing() {
        let sent = Message {
            run: "r1".into(),
            seq: Some(9),
            attempt: 4,
            timestamp_ms: 1_234,
            traceparent: Some("00-aa-bb-01".into()),
            ..empty()
        };
        let mut fields = headers(&sent, Some("no reason"));
        fields.insert("x-delivery-count".into(), AMQPValue::LongInt(7));
        fields.insert("foreign".into(), text_value("thing"));
        let (message, envelope) = decoded(fields);
        assert_eq!(message, sent);
        assert_eq!(envelope, Envelope { deliveries_before: 7, reason: Some("no reason".into()), broker_reason: None });
    }

    #[test]
    fn properties_read_back() {
        let sent = Message { id: "r1-9".into(), handler: "record".into(), timestamp_ms: 5_000, ..empty() };
        let data = data(&properties(&sent, 3, None));
        assert_eq!(returned_index(&data), Some(3));
        let (message, envelope) = Decoder::default().decode(false, data);
        assert_eq!((message, envelope), (sent, Envelope::default()));
    }

    #[test]
    fn nonsense_in_headers_is_left_out() {
        let mut fields = FieldTable::default();
        fields.insert(SEQ.into(), AMQPValue::LongLongInt(-1));
        fields.insert(ATTEMPT.into(), AMQPValue::LongLongInt(-1));
        fields.insert(RUN.into(), text_value(&"x".repeat(NAME_BYTES_MAX + 1)));
        fields.insert(TRACEPARENT.into(), AMQPValue::LongString(b"\xff".as_slice().into()));
        fields.insert("x-death".into(), text_value("not an array"));
        let (message, envelope) = decoded(fields);
        assert_eq!(message, empty());
        assert_eq!(envelope, Envelope { deliveries_before: 1, ..Envelope::default() });
    }

    #[test]
    fn a_long_reason_is_cut_at_a_character() {
        let (_, envelope) = decoded(headers(&empty(), Some(&"ä€".repeat(REASON_BYTES_MAX))));
        let bytes = envelope.reason.unwrap().len();
        assert!((REASON_BYTES_MAX - 4..=REASON_BYTES_MAX).contains(&bytes));
    }
}

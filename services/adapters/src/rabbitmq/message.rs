//! A port's message as AMQP properties and headers, and back. What a foreign client sends is never trusted and never fatal.

use std::sync::Arc;

use paceline_core::ids::NAME_BYTES_MAX;
use paceline_core::ports::broker::Message;
use paceline_core::{Error, Result};

use super::wire::codec::{Reader, SHORT_STRING_BYTES_MAX, Value, put_int_field, put_text_field};
use super::wire::properties::{Outgoing, Properties};
use super::wire::{Channel, Incoming, requests};

const RUN: &str = "x-paceline-run";
const SEQ: &str = "x-paceline-seq";
const ATTEMPT: &str = "x-paceline-attempt";
const TRACEPARENT: &str = "traceparent";
/// AMQP's timestamp has whole seconds; this header, which RabbitMQ itself uses too, has the milliseconds.
const TIMESTAMP_MS: &str = "timestamp_in_ms";
/// Why a message is in the dead queue.
const REASON: &str = "x-paceline-reason";

/// The longest text that goes into a header; all headers of a message share one frame.
const REASON_BYTES_MAX: usize = 8 * 1024;
const TRACEPARENT_BYTES_MAX: usize = 256;

/// Where a batch is published to, with its reason if that is a dead queue.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    pub exchange: &'a str,
    pub routing_key: &'a str,
    pub reason: Option<&'a str>,
}

/// Refuses what cannot be written as AMQP.
pub fn check(message: &Message) -> Result<()> {
    let too_long = |field: &str, max: usize| Err(Error::invalid_field(field, format!("longer than {max} bytes")));
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

/// The frame with which each publish of `target` on `channel` begins.
pub fn publish_frame(channel: &Channel, target: Target<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(128);
    requests::publish(&mut out, channel.number(), target.exchange, target.routing_key);
    out
}

/// Writes the rest of the publish: header and body. The message was checked.
pub fn put(out: &mut Vec<u8>, channel: &Channel, tag: u64, message: &Message, reason: Option<&str>) {
    let timestamp_s = u64::try_from(message.timestamp_ms / 1000).unwrap_or(0);
    let outgoing =
        Outgoing { message_id: &message.id, kind: &message.handler, timestamp_s, body_bytes: message.body.len() };
    outgoing.put(out, channel.number(), tag, |out| put_headers(out, message, reason));
    channel.put_body(out, &message.body);
}

fn put_headers(out: &mut Vec<u8>, message: &Message, reason: Option<&str>) {
    if !message.run.is_empty() {
        put_text_field(out, RUN, &message.run);
    }
    if let Some(seq) = message.seq.and_then(|seq| i64::try_from(seq).ok()) {
        put_int_field(out, SEQ, seq);
    }
    put_int_field(out, ATTEMPT, i64::from(message.attempt));
    if message.timestamp_ms % 1000 != 0 {
        put_int_field(out, TIMESTAMP_MS, message.timestamp_ms);
    }
    if let Some(traceparent) = &message.traceparent {
        put_text_field(out, TRACEPARENT, traceparent);
    }
    if let Some(reason) = reason {
        put_text_field(out, REASON, &reason[..reason.floor_char_boundary(REASON_BYTES_MAX)]);
    }
}

/// Reads messages of one queue; remembers the texts that repeat, so that each is held once.
#[derive(Debug)]
pub struct Decoder {
    handler: Arc<str>,
    run: Arc<str>,
}

/// What the headers say besides the message.
#[derive(Debug, Default, PartialEq)]
pub struct Envelope {
    pub deliveries_before: u32,
    /// Why the message is in the dead queue.
    pub reason: Option<String>,
    /// Why the broker moved the message last.
    pub broker_reason: Option<String>,
}

impl Default for Decoder {
    fn default() -> Self {
        Self { handler: "".into(), run: "".into() }
    }
}

impl Decoder {
    /// What cannot be read is left out: whoever handles the message says what is missing.
    pub fn decode(&mut self, incoming: Incoming) -> (Message, Envelope) {
        let properties = Properties::decode(&incoming.header).unwrap_or_default();
        let mut message = Message {
            id: text(properties.message_id).unwrap_or_default().to_owned(),
            handler: known(&mut self.handler, text(properties.kind).unwrap_or_default()),
            run: known(&mut self.run, ""),
            seq: None,
            attempt: 1,
            timestamp_ms: properties.timestamp_s.and_then(|s| i64::try_from(s).ok()?.checked_mul(1000)).unwrap_or(0),
            traceparent: None,
            body: incoming.body,
        };
        let mut envelope = Envelope { deliveries_before: u32::from(incoming.redelivered), ..Envelope::default() };
        let mut headers = properties.headers.unwrap_or(Reader(&[]));
        while let Ok((key, value)) = headers.field() {
            self.read_header(key, value, &mut message, &mut envelope);
        }
        (message, envelope)
    }

    fn read_header(&mut self, key: &[u8], value: Value<'_>, message: &mut Message, envelope: &mut Envelope) {
        match (std::str::from_utf8(key).unwrap_or(""), value) {
            (RUN, Value::Text(bytes)) if bytes.len() <= NAME_BYTES_MAX => {
                message.run = known(&mut self.run, text(bytes).unwrap_or_default());
            }
            (SEQ, Value::Int(seq)) => message.seq = u64::try_from(seq).ok(),
            (ATTEMPT, Value::Int(attempt)) => message.attempt = u32::try_from(attempt).unwrap_or(1).max(1),
            (TIMESTAMP_MS, Value::Int(timestamp_ms)) => message.timestamp_ms = timestamp_ms,
            (TRACEPARENT, Value::Text(bytes)) if bytes.len() <= TRACEPARENT_BYTES_MAX => {
                message.traceparent = text(bytes).map(str::to_owned);
            }
            (REASON, Value::Text(bytes)) => envelope.reason = text(bytes).map(str::to_owned),
            // RabbitMQ 4 counts acquisitions apart from failed deliveries; every one of them is a delivery to us.
            ("x-delivery-count" | "x-acquired-count", Value::Int(count)) => {
                envelope.deliveries_before = envelope.deliveries_before.max(u32::try_from(count).unwrap_or(0));
            }
            ("x-death", Value::Array(deaths)) => envelope.broker_reason = last_death(deaths),
            _ => (),
        }
    }
}

/// The reason in the first table of `x-death`, which is the most recent.
fn last_death(deaths: &[u8]) -> Option<String> {
    let Value::Table(death) = Reader(deaths).value().ok()? else { return None };
    let mut fields = Reader(death);
    while let Ok((key, value)) = fields.field() {
        if let (b"reason", Value::Text(reason)) = (key, value) {
            return text(reason).map(str::to_owned);
        }
    }
    None
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
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
    use bytes::Bytes;

    use super::*;

    fn decoded(headers: impl FnOnce(&mut Vec<u8>)) -> (Message, Envelope) {
        let outgoing = Outgoing { message_id: "", kind: "", timestamp_s: 0, body_bytes: 0 };
        let mut frame = Vec::new();
        outgoing.put(&mut frame, 1, 1, headers);
        // Frame head, class, weight and body length come before the properties.
        let header = Bytes::copy_from_slice(&frame[7 + 12..frame.len() - 1]);
        let incoming = Incoming { consumer: 0, tag: 1, redelivered: true, header, body: Bytes::new() };
        Decoder::default().decode(incoming)
    }

    #[test]
    fn headers_read_back_and_foreign_ones_change_nothing() {
        let sent = Message {
            id: String::new(),
            handler: "".into(),
            run: "r1".into(),
            seq: Some(9),
            attempt: 4,
            timestamp_ms: 1_234,
            traceparent: Some("00-aa-bb-01".into()),
            body: Bytes::new(),
        };
        let (message, envelope) = decoded(|out| {
            put_headers(out, &sent, Some("no reason"));
            put_int_field(out, "x-delivery-count", 7);
            put_int_field(out, TRACEPARENT, 7);
            put_text_field(out, "foreign", "thing");
        });
        assert_eq!(message, sent);
        assert_eq!(envelope, Envelope { deliveries_before: 7, reason: Some("no reason".into()), broker_reason: None });
    }

    #[test]
    fn nonsense_in_headers_is_left_out() {
        let (message, envelope) = decoded(|out| {
            put_int_field(out, SEQ, -1);
            put_int_field(out, ATTEMPT, -1);
            put_text_field(out, RUN, &"x".repeat(NAME_BYTES_MAX + 1));
            put_text_field(out, "x-death", "not an array");
        });
        assert_eq!((message.seq, message.attempt, message.run.as_ref()), (None, 1, ""));
        assert_eq!(envelope, Envelope { deliveries_before: 1, ..Envelope::default() });
        let garbage = Incoming {
            consumer: 0,
            tag: 1,
            redelivered: false,
            header: Bytes::from_static(b"\xff\xff\xff"),
            body: Bytes::new(),
        };
        assert_eq!(Decoder::default().decode(garbage).0.id, "");
    }

    #[test]
    fn a_long_reason_is_cut_at_a_character() {
        let message = Message {
            id: String::new(),
            handler: "".into(),
            run: "".into(),
            seq: None,
            attempt: 1,
            timestamp_ms: 0,
            traceparent: None,
            body: Bytes::new(),
        };
        let (_, envelope) = decoded(|out| put_headers(out, &message, Some(&"ä€".repeat(REASON_BYTES_MAX))));
        assert!(envelope.reason.unwrap().len() > REASON_BYTES_MAX - 4);
    }
}

//! The header of a content: how long its body is, and the properties that Paceline uses.

use super::codec::{Decoded, Malformed, Reader, put_length, put_short_string, put_table, put_u16, put_u32, put_u64};
use super::frame;

const CONTENT_TYPE: u16 = 1 << 15;
const CONTENT_ENCODING: u16 = 1 << 14;
const HEADERS: u16 = 1 << 13;
const DELIVERY_MODE: u16 = 1 << 12;
const PRIORITY: u16 = 1 << 11;
const CORRELATION_ID: u16 = 1 << 10;
const REPLY_TO: u16 = 1 << 9;
const EXPIRATION: u16 = 1 << 8;
const MESSAGE_ID: u16 = 1 << 7;
const TIMESTAMP: u16 = 1 << 6;
const TYPE: u16 = 1 << 5;

const CLASS_BASIC: u16 = 60;
const PERSISTENT: u8 = 2;

/// Properties as they are on the wire. What the sender left out is empty.
#[derive(Debug, Default, Clone, Copy)]
pub struct Properties<'a> {
    pub headers: Option<Reader<'a>>,
    pub correlation_id: &'a [u8],
    pub message_id: &'a [u8],
    pub timestamp_s: Option<u64>,
    pub kind: &'a [u8],
}

/// The length of the body, and the bytes that [`Properties::decode`] reads.
pub fn split_header(payload: &[u8]) -> Decoded<(u64, &[u8])> {
    let mut reader = Reader(payload);
    if reader.u16()? != CLASS_BASIC {
        return Err(Malformed("a content is not of the basic class"));
    }
    reader.u16()?;
    Ok((reader.u64()?, reader.0))
}

impl<'a> Properties<'a> {
    pub fn decode(bytes: &'a [u8]) -> Decoded<Self> {
        let mut reader = Reader(bytes);
        let flags = reader.u16()?;
        let has = |flag| flags & flag != 0;
        let mut properties = Self::default();
        for flag in [CONTENT_TYPE, CONTENT_ENCODING] {
            skip_if(has(flag), &mut reader)?;
        }
        if has(HEADERS) {
            properties.headers = Some(reader.table()?);
        }
        for flag in [DELIVERY_MODE, PRIORITY] {
            if has(flag) {
                reader.u8()?;
            }
        }
        if has(CORRELATION_ID) {
            properties.correlation_id = reader.short_string()?;
        }
        for flag in [REPLY_TO, EXPIRATION] {
            skip_if(has(flag), &mut reader)?;
        }
        if has(MESSAGE_ID) {
            properties.message_id = reader.short_string()?;
        }
        properties.timestamp_s = if has(TIMESTAMP) { Some(reader.u64()?) } else { None };
        if has(TYPE) {
            properties.kind = reader.short_string()?;
        }
        Ok(properties)
    }
}

fn skip_if(is_there: bool, reader: &mut Reader<'_>) -> Decoded<()> {
    if is_there { reader.short_string().map(drop) } else { Ok(()) }
}

/// What a publish says of its message.
#[derive(Debug, Clone, Copy)]
pub struct Outgoing<'a> {
    pub message_id: &'a str,
    pub kind: &'a str,
    pub timestamp_s: u64,
    pub body_bytes: usize,
}

impl Outgoing<'_> {
    /// Writes the header frame of a persistent JSON message. `tag` goes into the correlation id, by which a returned message is
    /// known again; `headers` puts the fields of the headers.
    pub fn put(&self, out: &mut Vec<u8>, channel: u16, tag: u64, headers: impl FnOnce(&mut Vec<u8>)) {
        let flag_if = |is_there: bool, flag: u16| if is_there { flag } else { 0 };
        let (has_id, has_kind) = (!self.message_id.is_empty(), !self.kind.is_empty());
        let always = CONTENT_TYPE | HEADERS | DELIVERY_MODE | CORRELATION_ID | TIMESTAMP;
        let flags = always | flag_if(has_id, MESSAGE_ID) | flag_if(has_kind, TYPE);
        frame::put(out, frame::HEADER, channel, |out| {
            put_u16(out, CLASS_BASIC);
            put_u16(out, 0);
            put_u32(out, 0);
            put_length(out, self.body_bytes);
            put_u16(out, flags);
            put_short_string(out, "application/json");
            put_table(out, headers);
            out.push(PERSISTENT);
            put_tag(out, tag);
            if has_id {
                put_short_string(out, self.message_id);
            }
            put_u64(out, self.timestamp_s);
            if has_kind {
                put_short_string(out, self.kind);
            }
        });
    }
}

/// As digits, so that people who look at a message see a number.
fn put_tag(out: &mut Vec<u8>, tag: u64) {
    let mut digits = [0_u8; 20];
    let mut start = digits.len();
    let mut rest = tag;
    loop {
        start -= 1;
        digits[start] = b'0' + u8::try_from(rest % 10).expect("a digit");
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.push(u8::try_from(digits.len() - start).expect("at most 20 digits"));
    out.extend_from_slice(&digits[start..]);
}

/// The tag of a returned message.
pub fn returned_tag(properties: &[u8]) -> Option<u64> {
    let id = Properties::decode(properties).ok()?.correlation_id;
    std::str::from_utf8(id).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rabbitmq::wire::codec::{Value, put_int_field};

    #[test]
    fn properties_read_back_and_the_tag_is_known_again() {
        let outgoing = Outgoing { message_id: "run-7", kind: "record", timestamp_s: 1_700_000_000, body_bytes: 70_000 };
        let mut out = Vec::new();
        outgoing.put(&mut out, 4, 1_234_567, |out| put_int_field(out, "n", 3));
        let frame = frame::split(&mut out.as_slice(), 4096).unwrap().unwrap();
        let (body_bytes, bytes) = split_header(frame.payload).unwrap();
        let properties = Properties::decode(bytes).unwrap();
        assert_eq!(
            (body_bytes, properties.message_id, properties.kind),
            (70_000, b"run-7".as_slice(), b"record".as_slice())
        );
        assert_eq!(properties.timestamp_s, Some(1_700_000_000));
        assert_eq!(properties.headers.unwrap().field(), Ok((b"n".as_slice(), Value::Int(3))));
        assert_eq!(returned_tag(bytes), Some(1_234_567));
        for length in 0..bytes.len() {
            assert!(Properties::decode(&bytes[..length]).is_err());
        }
    }
}

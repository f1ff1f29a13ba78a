//! Tests of the properties of a message: which bytes are read, and which break AMQP's rules.

use super::*;
use crate::rabbitmq::fake_frames::{MESSAGE_ID, put_long_string, put_short_string, with_text};

/// Properties with one header of the name "h".
fn header(value: &[u8]) -> Vec<u8> {
    let mut table = b"\x01h".to_vec();
    table.extend_from_slice(value);
    let mut properties = (1_u16 << 13).to_be_bytes().to_vec();
    put_long_string(&mut properties, &table);
    properties
}

/// `depth` tables, one in the other.
fn nested(depth: usize) -> Vec<u8> {
    let mut value = b"V".to_vec();
    for _ in 0..depth {
        let mut table = b"\x01h".to_vec();
        table.extend_from_slice(&value);
        value = b"F".to_vec();
        put_long_string(&mut value, &table);
    }
    value
}

#[test]
fn every_field_is_skipped_or_read() {
    let mut bytes = 0xfffc_u16.to_be_bytes().to_vec();
    ["json", "utf8"].into_iter().for_each(|text| put_short_string(&mut bytes, text));
    put_long_string(&mut bytes, b"\x01hB\x07");
    bytes.extend_from_slice(&[2, 5]);
    ["correlation", "reply", "expiration", "message"].into_iter().for_each(|text| put_short_string(&mut bytes, text));
    bytes.extend_from_slice(&77_u64.to_be_bytes());
    ["kind", "user", "app", "cluster"].into_iter().for_each(|text| put_short_string(&mut bytes, text));
    let read = Properties::read(&bytes).unwrap();
    assert_eq!(
        (read.correlation_id, read.message_id, read.kind, read.timestamp_s),
        ("correlation", "message", "kind", Some(77))
    );
    assert!(read.headers().eq([("h", HeaderValue::Int(7))]));
    assert!((0..bytes.len()).all(|end| Properties::read(&bytes[..end]).is_none()), "cut anywhere");
}

#[test]
fn values_of_every_kind() {
    for (value, expected) in [
        (b"b\xff".as_slice(), HeaderValue::Int(-1)),
        (b"B\xff", HeaderValue::Int(255)),
        (b"s\xff\xfe", HeaderValue::Int(-2)),
        (b"U\xff\xfe", HeaderValue::Int(-2)),
        (b"u\xff\xfe", HeaderValue::Int(65_534)),
        (b"I\xff\xff\xff\xfd", HeaderValue::Int(-3)),
        (b"i\xff\xff\xff\xfd", HeaderValue::Int(4_294_967_293)),
        (b"L\xff\xff\xff\xff\xff\xff\xff\xfc", HeaderValue::Int(-4)),
        (b"l\xff\xff\xff\xff\xff\xff\xff\xfc", HeaderValue::Int(-4)),
        (b"S\0\0\0\x02hi", HeaderValue::Text("hi")),
        (b"x\0\0\0\x02hi", HeaderValue::Text("hi")),
        (b"S\0\0\0\x02\xff\xfe", HeaderValue::Other),
        (b"A\0\0\0\x01V", HeaderValue::Array(b"V")),
        (b"F\0\0\0\x03\x01aV", HeaderValue::Table(b"\x01aV")),
        (b"t\x01", HeaderValue::Other),
        (b"f\0\0\0\0", HeaderValue::Other),
        (b"D\0\0\0\0\0", HeaderValue::Other),
        (b"d\0\0\0\0\0\0\0\0", HeaderValue::Other),
        (b"T\0\0\0\0\0\0\0\0", HeaderValue::Other),
        (b"V", HeaderValue::Other),
    ] {
        let bytes = header(value);
        assert!(Properties::read(&bytes).unwrap().headers().eq([("h", expected)]), "{value:?}");
    }
    assert!(values(b"B\x01V").eq([HeaderValue::Int(1), HeaderValue::Other]));
}

#[test]
fn what_breaks_the_rules_is_not_read() {
    let mut key = (1_u16 << 13).to_be_bytes().to_vec();
    put_long_string(&mut key, b"\x01\xffV");
    let mut left_over = with_text(MESSAGE_ID, b"id");
    left_over.push(0);
    let deep = header(&nested(DEPTH_MAX + 1));
    for bytes in
        [with_text(MESSAGE_ID, b"caf\xe9"), key, left_over, deep, header(b"?"), header(b"S\0\0\0\x09short"), Vec::new()]
    {
        assert!(Properties::read(&bytes).is_none(), "{bytes:?}");
    }
    assert!(Properties::read(&header(&nested(DEPTH_MAX))).is_some());
}

#[test]
fn data_is_properties_and_body() {
    let body = |bytes: &'static [u8]| body(Bytes::from_static(bytes));
    assert_eq!(body(b"\0\0\0\x02ab"), "");
    assert_eq!(body(b"\0\0\0\x02abbody"), "body");
    assert_eq!(body(b"\0\0\0\x02abbody and more"), "body and more");
    assert_eq!(body(b"\0\0\0\x09ab"), "");
    assert_eq!(body(b"\0\0"), "");
    assert_eq!(body(b"\xff\xff\xff\xffab"), "");
    for nothing in [b"".as_slice(), b"\0", b"\0\0\0\0", b"\0\0\0\x01\x80", b"\xff\xff\xff\xff"] {
        assert_eq!(Properties::of(nothing).message_id, "");
    }
    let data = [&[0, 0, 0, 5], with_text(MESSAGE_ID, b"id").as_slice(), b"body"].concat();
    assert_eq!(Properties::of(&data).message_id, "id");
}

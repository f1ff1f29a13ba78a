use super::*;
use crate::rabbitmq::fake_broker::{
    BODY, put, put_content, put_delivery, put_frame, put_long_string, put_short_string, put_u16,
};

const FRAME_BYTES: usize = 64 * 1024;

fn guard() -> Guard {
    Guard::new(FRAME_BYTES, Arc::default())
}

fn taken(guard: &mut Guard) -> Vec<u8> {
    let mut out = vec![0; 1 << 21];
    let count = guard.take(&mut out);
    out.truncate(count);
    out
}

/// What comes out when `bytes` arrive in pieces of `step`.
fn passed(bytes: &[u8], step: usize) -> Vec<u8> {
    let (mut guard, mut out) = (guard(), Vec::new());
    for piece in bytes.chunks(step) {
        guard.feed(piece).unwrap();
        out.extend(taken(&mut guard));
    }
    out
}

fn content(properties: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    put_content(&mut bytes, 3, properties, b"body");
    bytes
}

/// A value in a header of the name "h".
fn header(value: &[u8]) -> Vec<u8> {
    let mut table = b"\x01h".to_vec();
    table.extend_from_slice(value);
    let mut properties = (1_u16 << 13).to_be_bytes().to_vec();
    put_long_string(&mut properties, &table);
    properties
}

/// So many tables in each other.
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
fn what_lapin_reads_passes_unchanged_however_it_arrives() {
    let mut bytes = Vec::new();
    put_delivery(&mut bytes, 1, 1, &header(&nested(5)), b"first");
    put_delivery(&mut bytes, 2, 1, &header(b"S\x00\x00\x00\x02\xff\xfe"), &[7; 3000]);
    put_frame(&mut bytes, 8, 0, |_| ());
    put_delivery(&mut bytes, 2, 2, &[0, 0], b"");
    for step in [1, 3, 7, 64, 5000] {
        assert_eq!(passed(&bytes, step), bytes, "in pieces of {step}");
    }
}

#[test]
fn properties_that_lapin_cannot_read_are_left_out_and_the_body_stays() {
    let short_text = |bytes: &[u8]| {
        let mut properties = (1_u16 << 7).to_be_bytes().to_vec();
        properties.push(u8::try_from(bytes.len()).unwrap());
        properties.extend_from_slice(bytes);
        properties
    };
    let mut key = (1_u16 << 13).to_be_bytes().to_vec();
    put_long_string(&mut key, b"\x01\xffV");
    let mut left_over = short_text(b"id");
    left_over.push(0);
    for properties in [
        short_text(b"caf\xe9"),
        key,
        left_over,
        header(&nested(DEPTH_MAX + 1)),
        header(b"?"),
        header(b"S\x00\x00\x00\x09short"),
        header(&[b"S".as_slice(), &70_000_u32.to_be_bytes(), &[b'x'; 70_000]].concat()),
    ] {
        assert_eq!(passed(&content(&properties), 100), content(&[0, 0]));
    }
    let deep = content(&header(&nested(DEPTH_MAX)));
    assert_eq!(passed(&deep, 100), deep);
}

#[test]
fn names_that_lapin_cannot_read_are_left_out_of_a_delivery() {
    let delivery = |key: &[u8]| {
        let mut bytes = Vec::new();
        put(&mut bytes, 1, (60, 60), |out| {
            put_short_string(out, "m");
            out.extend_from_slice(&[0; 9]);
            put_short_string(out, "");
            out.push(u8::try_from(key.len()).unwrap());
            out.extend_from_slice(key);
        });
        bytes
    };
    assert_eq!(passed(&delivery(b"\xff"), 10), delivery(b""));
    assert_eq!(passed(&delivery(b"jobs"), 10), delivery(b"jobs"));
}

#[test]
fn names_that_lapin_cannot_read_are_left_out_of_the_answer_to_a_get() {
    let got = |key: &[u8]| {
        let mut bytes = Vec::new();
        put(&mut bytes, 1, (60, 71), |out| {
            out.extend_from_slice(&[0; 9]);
            put_short_string(out, "");
            out.push(u8::try_from(key.len()).unwrap());
            out.extend_from_slice(key);
            out.extend_from_slice(&7_u32.to_be_bytes());
        });
        bytes
    };
    assert_eq!(passed(&got(b"\xff"), 10), got(b""));
    assert_eq!(passed(&got(b"jobs"), 10), got(b"jobs"));
}

#[test]
fn the_largest_header_is_that_of_the_connection() {
    let mut tune = Vec::new();
    put(&mut tune, 0, (10, 30), |out| {
        put_u16(out, 0);
        out.extend_from_slice(&5_000_u32.to_be_bytes());
        put_u16(out, 60);
    });
    let large = content(&header(&[b"S".as_slice(), &6_000_u32.to_be_bytes(), &[b'x'; 6_000]].concat()));
    assert_eq!(passed(&large, 100), large);
    assert_eq!(passed(&[tune.clone(), large].concat(), 100), [tune, content(&[0, 0])].concat());
}

#[test]
fn the_broker_says_its_name() {
    let mut bytes = Vec::new();
    put(&mut bytes, 0, (10, 10), |out| {
        put_u16(out, 9);
        let mut table = Vec::new();
        for (key, value) in [("product", "RabbitMQ"), ("version", "4.0.5")] {
            put_short_string(&mut table, key);
            table.push(b'S');
            put_long_string(&mut table, value.as_bytes());
        }
        put_long_string(out, &table);
        put_long_string(out, b"PLAIN");
        put_long_string(out, b"en_US");
    });
    let mut guard = guard();
    guard.feed(&bytes).unwrap();
    assert_eq!(guard.server.get().map(String::as_str), Some("RabbitMQ 4.0.5"));
    assert_eq!(taken(&mut guard), bytes);
}

#[test]
fn what_is_not_amqp_is_named() {
    let fed = |bytes: &[u8]| guard().feed(bytes).map_err(|NotAmqp(what)| what).unwrap_err();
    assert!(fed(b"\x15\x03\x03").contains("amqps://"));
    assert!(fed(b"HTTP/1.1").contains("something else"));
    assert!(fed(b"AMQP\0\x01\0\0").contains("another version"));
    assert!(fed(&[FRAME_HEADER, 0, 1, 0xff, 0xff, 0xff, 0xff]).contains("4294967303 bytes"));
}

#[test]
fn a_body_is_passed_on_before_all_of_it_has_arrived() {
    let mut bytes = Vec::new();
    put_frame(&mut bytes, BODY, 1, |out| out.extend_from_slice(&[7; 1000]));
    let mut guard = guard();
    guard.feed(&bytes[..500]).unwrap();
    assert_eq!(taken(&mut guard).len(), 500);
    guard.feed(&bytes[500..]).unwrap();
    assert_eq!(taken(&mut guard).len(), bytes.len() - 500);
}

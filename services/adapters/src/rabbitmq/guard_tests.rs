//! Tests of the guard: frames that it lets through, cuts, bundles or refuses, however the bytes arrive.

use super::*;
use crate::rabbitmq::fake_frames::{
    BODY, HEADER, put, put_content, put_delivery, put_frame, put_long_string, put_short_string, put_u16, put_u64,
};
use crate::rabbitmq::methods::FRAME_BYTES_MIN;

const FRAME_BYTES: usize = 64 * 1024;

fn guard() -> FrameGuard {
    FrameGuard::new(FRAME_BYTES, Arc::default())
}

fn taken(guard: &mut FrameGuard) -> Vec<u8> {
    let mut out = vec![0; 1 << 21];
    let count = guard.take(&mut out);
    out.truncate(count);
    out
}

/// The output of a guard to which `bytes` arrive in pieces of `step`.
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

fn put_moved_header(out: &mut Vec<u8>, channel: u16, properties: &[u8], body: &[u8]) {
    put_frame(out, HEADER, channel, |out| {
        put_u16(out, 60);
        put_u16(out, 0);
        put_u64(out, (4 + properties.len() + body.len()) as u64);
        out.extend_from_slice(&[0, 0]);
    });
}

/// Header and body as lapin gets them.
fn put_moved(out: &mut Vec<u8>, channel: u16, properties: &[u8], body: &[u8]) {
    put_moved_header(out, channel, properties, body);
    put_frame(out, BODY, channel, |out| {
        put_long_string(out, properties);
        out.extend_from_slice(body);
    });
}

fn moved(properties: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    put_moved(&mut bytes, 3, properties, b"body");
    bytes
}

#[test]
fn properties_move_into_the_body_however_they_arrive() {
    let (mut sent, mut expected) = (Vec::new(), Vec::new());
    let long = [7; 3000];
    for (channel, tag, properties, body) in [
        (1, 1, b"\x00\x80\x02id".as_slice(), b"first".as_slice()),
        (2, 1, b"any \xff\xfe", &long),
        (2, 2, &[0, 0], b""),
    ] {
        put_delivery(&mut sent, channel, tag, properties, body);
        put_frame(&mut sent, 8, 0, |_| ());
        put(&mut expected, channel, (60, 60), |out| {
            put_short_string(out, "m");
            put_u64(out, tag);
            // Not delivered before, and neither exchange nor routing key.
            out.extend_from_slice(&[0, 0, 0]);
        });
        put_moved(&mut expected, channel, properties, body);
        put_frame(&mut expected, 8, 0, |_| ());
    }
    for step in [1, 3, 7, 64] {
        assert_eq!(passed(&sent, step), expected, "in pieces of {step}");
    }
}

/// The frames that lapin gets of what came in one piece: the class and method of each frame, or its type.
fn frames(mut bytes: &[u8]) -> Vec<(u16, u16)> {
    let mut all = Vec::new();
    while let Some((head, rest)) = bytes.split_first_chunk::<FRAME_HEAD_BYTES>() {
        let number = |at: &[u8]| u16::from_be_bytes(at[..2].try_into().unwrap());
        all.push(if head[0] == FRAME_METHOD { (number(rest), number(&rest[2..])) } else { (head[0].into(), 0) });
        bytes = &rest[u32::from_be_bytes(head[3..].try_into().unwrap()) as usize + 1..];
    }
    all
}

#[test]
fn deliveries_that_come_together_are_one_and_nothing_of_their_channel_overtakes_them() {
    const ONE: [(u16, u16); 3] = [(60, 60), (2, 0), (3, 0)];
    let (mut sent, mut close, mut cancel) = (Vec::new(), Vec::new(), Vec::new());
    (1..=3).for_each(|tag| put_delivery(&mut sent, 1, tag, &[0, 0], b"body"));
    put_delivery(&mut sent, 2, 1, &[0, 0], b"body");
    put(&mut cancel, 1, (60, 30), |out| put_short_string(out, "m"));
    put(&mut close, 0, (10, 50), |out| out.extend_from_slice(&[0; 7]));
    let together = |more: &[u8]| frames(&passed(&[sent.as_slice(), more].concat(), usize::MAX));
    assert_eq!(together(&[]), [ONE, ONE].concat());
    assert_eq!(together(&cancel), [ONE.as_slice(), &ONE, &[(60, 30)]].concat());
    assert_eq!(together(&close), [ONE.as_slice(), &ONE, &[(10, 50)]].concat());
    // A delivery that has not arrived as a whole comes after those that have.
    let mut half = Vec::new();
    put_delivery(&mut half, 1, 4, &[0, 0], b"body");
    assert_eq!(together(&half[..half.len() - 12]), [ONE.as_slice(), &ONE, &[(60, 60), (2, 0)]].concat());
}

#[test]
fn a_header_that_is_too_short_passes_as_it_is() {
    let mut bytes = Vec::new();
    put_frame(&mut bytes, HEADER, 1, |out| out.extend_from_slice(&[0; 5]));
    assert_eq!(passed(&bytes, 4), bytes);
}

#[test]
fn names_are_left_out_of_a_delivery() {
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
    assert_eq!(passed(&delivery(b"jobs"), 10), delivery(b""));
}

#[test]
fn names_are_left_out_of_the_answer_to_a_get() {
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
    assert_eq!(passed(&got(b"jobs"), 10), got(b""));
}

#[test]
fn the_largest_header_is_that_of_the_connection() {
    let mut tune = Vec::new();
    put(&mut tune, 0, (10, 30), |out| {
        put_u16(out, 0);
        out.extend_from_slice(&5_000_u32.to_be_bytes());
        put_u16(out, 60);
    });
    let large = [7; 6_000];
    assert!(passed(&content(&large), 100) == moved(&large));
    assert!(passed(&[tune.clone(), content(&large)].concat(), 100) == [tune.clone(), moved(b"")].concat());
    // A header's frame may be as large as the connection's, and not a byte more.
    let (most, too_much) = (&large[..5_000 - 20], &large[..5_000 - 19]);
    assert!(passed(&[tune.clone(), content(too_much)].concat(), 7) == [tune.clone(), moved(b"")].concat());
    assert!(passed(&[tune.clone(), content(most)].concat(), 7) == [tune.clone(), moved(most)].concat());
    // Properties and body just fit into one frame, and do not.
    for (body, put_expected) in
        [([1; 8].as_slice(), put_moved as fn(&mut Vec<u8>, u16, &[u8], &[u8])), (&[1; 9], put_apart)]
    {
        let (mut sent, mut expected) = (tune.clone(), tune.clone());
        put_content(&mut sent, 3, most, body);
        put_expected(&mut expected, 3, most, body);
        assert!(passed(&sent, 100) == expected, "{} bytes", body.len());
    }
}

#[test]
fn an_agreed_size_below_the_least_of_amqp_is_that_least() {
    let (mut tune, mut short) = (Vec::new(), Vec::new());
    put(&mut tune, 0, (10, 30), |out| {
        put_u16(out, 0);
        out.extend_from_slice(&8_u32.to_be_bytes());
        put_u16(out, 60);
    });
    put_frame(&mut short, HEADER, 3, |out| out.extend_from_slice(&[0; 5]));
    let properties = [7; FRAME_BYTES_MIN - 20];
    let sent = [tune.clone(), short.clone(), content(&properties)].concat();
    assert!(passed(&sent, 9) == [tune, short, moved(&properties)].concat());
}

#[test]
fn a_large_header_that_arrives_slowly_is_no_silence() {
    let mut guard = guard();
    guard.server.set(Greeting { product: "RabbitMQ".into(), cluster: None }).unwrap();
    let large = content(&[7; 3 * FRAME_BYTES]);
    let mut out = Vec::new();
    for piece in large[..2 * FRAME_BYTES].chunks(1000) {
        guard.feed(piece).unwrap();
        let some = taken(&mut guard);
        assert!(!some.is_empty());
        out.extend(some);
    }
    guard.feed(&large[2 * FRAME_BYTES..]).unwrap();
    out.extend(taken(&mut guard));
    let mut heartbeat = Vec::new();
    put_frame(&mut heartbeat, 8, 0, |_| ());
    let expected = moved(b"");
    let header_bytes = expected.len() - (7 + 4 + 4 + 1);
    let (start, end) = (&out[..header_bytes], &out[out.len() - (7 + 4 + 4 + 1)..]);
    assert_eq!([start, end].concat(), expected);
    assert!(out[header_bytes..out.len() - end.len()].chunks(heartbeat.len()).all(|frame| frame == heartbeat));
}

/// Properties in a frame of their own.
fn put_apart(out: &mut Vec<u8>, channel: u16, properties: &[u8], body: &[u8]) {
    put_moved_header(out, channel, properties, body);
    put_frame(out, BODY, channel, |out| put_long_string(out, properties));
    put_frame(out, BODY, channel, |out| out.extend_from_slice(body));
}

#[test]
fn properties_that_wait_for_their_body_are_overtaken_by_nothing() {
    let (mut sent, mut expected) = (Vec::new(), Vec::new());
    let mut whole = content(b"\x00\x00");
    let body = whole.split_off(whole.len() - (7 + 4 + 1));
    put_frame(&mut sent, 8, 0, |_| ());
    let between = sent.clone();
    let sent = [whole, between.clone(), body.clone()].concat();
    put_moved_header(&mut expected, 3, b"\x00\x00", b"body");
    put_frame(&mut expected, BODY, 3, |out| put_long_string(out, b"\x00\x00"));
    assert_eq!(passed(&sent, 5), [expected, between, body].concat());
}

#[test]
fn a_frame_without_an_end_is_named() {
    let mut bytes = content(&[0, 0]);
    let end = bytes.iter().position(|byte| *byte == 0xCE).unwrap();
    bytes[end] = 0;
    assert!(guard().feed(&bytes).is_err_and(|NotAmqp(what)| what.contains("without an end")));
}

#[test]
fn the_broker_says_its_name() {
    let mut bytes = Vec::new();
    put(&mut bytes, 0, (10, 10), |out| {
        put_u16(out, 9);
        let mut table = Vec::new();
        for (key, value) in [("product", "RabbitMQ"), ("version", "4.0.5"), ("cluster_name", "rabbit@h1")] {
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
    let greeting = guard.server.get().unwrap();
    assert_eq!((greeting.product.as_str(), greeting.cluster.as_deref()), ("RabbitMQ 4.0.5", Some("rabbit@h1")));
    assert_eq!(taken(&mut guard), bytes);
}

#[test]
fn what_is_not_amqp_is_named() {
    let fed = |bytes: &[u8]| guard().feed(bytes).map_err(|NotAmqp(what)| what).unwrap_err();
    assert!(fed(b"\x15\x03\x03").contains("amqps://"));
    assert!(fed(b"HTTP/1.1").contains("something else"));
    assert!(fed(b"AMQP\0\x01\0\0").contains("another version"));
    assert!(fed(&[FRAME_METHOD, 0, 1, 0xff, 0xff, 0xff, 0xff]).contains("4294967303 bytes"));
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

/// Bundles, and a delivery of which the end is missing, as one look at a busy socket brings them.
#[test]
fn a_bundle_never_comes_into_the_middle_of_a_frame() {
    let (mut sent, mut expected) = (Vec::new(), 0);
    for round in 0..20 {
        for channel in 1..=3 {
            put_delivery(&mut sent, channel, round, &[0, 0], &[7; 100]);
            expected += 1;
        }
    }
    for step in 1..400 {
        let out = passed(&sent, step);
        let mut rest = out.as_slice();
        let (mut frames, mut count) = (0, 0);
        while let Some((head, more)) = rest.split_first_chunk::<FRAME_HEAD_BYTES>() {
            let bytes = u32::from_be_bytes(head[3..].try_into().unwrap()) as usize;
            assert!((1..=3).contains(&head[0]) && more[bytes] == FRAME_END, "in pieces of {step}, frame {frames}");
            frames += 1;
            if head[0] == FRAME_BODY {
                count += more[..bytes].windows(100).filter(|window| *window == [7; 100]).count();
            }
            rest = &more[bytes + 1..];
        }
        assert_eq!(count, expected, "in pieces of {step}");
    }
}

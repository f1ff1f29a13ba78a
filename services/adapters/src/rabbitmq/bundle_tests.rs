//! Tests of the bundle: small deliveries of one consumer become one and come apart again, and everything else passes as it was.

use super::*;
use crate::rabbitmq::fake_frames::{put, put_delivery, put_short_string, put_u64};

const FRAME_BYTES: usize = 64 * 1024;

/// The deliveries of what a guard would hand to lapin: (channel, consumer, parts), in order.
type Seen = Vec<(u16, String, Vec<BundledDelivery>)>;

fn seen(mut out: &[u8]) -> Seen {
    let mut all = Vec::new();
    while !out.is_empty() {
        let (1, channel, method, rest) = frame(out).unwrap() else { panic!("no method") };
        let consumer_bytes = usize::from(method[4]);
        let consumer = String::from_utf8(method[5..5 + consumer_bytes].to_vec()).unwrap();
        let (2, _, header, rest) = frame(rest).unwrap() else { panic!("no header") };
        let (3, _, body, rest) = frame(rest).unwrap() else { panic!("no body") };
        assert_eq!(header[4..12], (body.len() as u64).to_be_bytes());
        assert!(method.ends_with(b"\0\0\x01+"));
        let parts: Vec<BundledDelivery> = parts(Bytes::copy_from_slice(body)).collect();
        assert_eq!(method[5 + consumer_bytes..][..8], parts[0].tag.to_be_bytes(), "it has the first tag");
        all.push((channel, consumer, parts));
        out = rest;
    }
    all
}

fn gathered(frame_bytes_max: usize, mut input: &[u8]) -> Seen {
    let (mut bundles, mut out) = (Bundles::new(frame_bytes_max), Vec::new());
    while !input.is_empty() {
        let (whole, bytes) = Whole::find(input, bundles.bytes_max()).unwrap();
        bundles.add(&whole, &mut out);
        input = &input[bytes..];
    }
    bundles.flush_all(&mut out);
    seen(&out)
}

fn tags(parts: &[BundledDelivery]) -> Vec<u64> {
    parts.iter().map(|part| part.tag).collect()
}

#[test]
fn deliveries_of_a_channel_become_one_whatever_comes_between_and_come_apart_again() {
    let mut input = Vec::new();
    put_delivery(&mut input, 1, 1, b"\0\0", b"first");
    put_delivery(&mut input, 2, 7, b"\0\0", b"other");
    put_delivery(&mut input, 1, 2, b"\x80\0\x01x", b"");
    let all = gathered(FRAME_BYTES, &input);
    assert_eq!(
        all.iter().map(|(channel, _, parts)| (*channel, tags(parts))).collect::<Vec<_>>(),
        [(1, vec![1, 2]), (2, vec![7])]
    );
    let data = |index: usize| all[0].2[index].data.clone();
    assert_eq!((data(0).as_ref(), data(1).as_ref()), (&b"\0\0\0\x02\0\0first"[..], &b"\0\0\0\x04\x80\0\x01x"[..]));
}

#[test]
fn each_says_for_itself_whether_it_came_before() {
    let (mut input, mut again) = (Vec::new(), Vec::new());
    put_delivery(&mut input, 1, 1, b"\0\0", b"new");
    put_delivery(&mut again, 1, 2, b"\0\0", b"old");
    // Type, channel, size, class and method, the consumer, the tag.
    again[7 + 4 + 2 + 8] = 1;
    input.extend(again);
    let all = gathered(FRAME_BYTES, &input);
    assert_eq!(all[0].2.iter().map(|part| part.redelivered).collect::<Vec<_>>(), [false, true]);
}

#[test]
fn consumers_of_a_channel_share_no_bundle_and_keep_their_order() {
    let mut input = Vec::new();
    for (tag, consumer) in [(1, "m"), (2, "m"), (3, "g"), (4, "m")] {
        let mut delivery = Vec::new();
        put_delivery(&mut delivery, 1, tag, b"\0\0", b"job");
        delivery[7 + 4 + 1] = consumer.as_bytes()[0];
        input.extend(delivery);
    }
    let all = gathered(FRAME_BYTES, &input);
    let found: Vec<_> = all.iter().map(|(_, consumer, parts)| (consumer.as_str(), tags(parts))).collect();
    assert_eq!(found, [("m", vec![1, 2]), ("g", vec![3]), ("m", vec![4])]);
}

#[test]
fn a_bundle_fits_into_a_frame_and_what_is_larger_is_no_part_of_one() {
    for frame_bytes_max in [4096, 8200, FRAME_BYTES] {
        let room = BUNDLE_BYTES_MAX.min(frame_bytes_max - 8);
        let body = vec![7; room / 2 - ENTRY_HEAD_BYTES - PREFIX_BYTES - 2];
        let mut input = Vec::new();
        (1..=3).for_each(|tag| put_delivery(&mut input, 1, tag, b"\0\0", &body));
        let all = gathered(frame_bytes_max, &input);
        assert_eq!(all.iter().map(|(_, _, parts)| tags(parts)).collect::<Vec<_>>(), [vec![1, 2], vec![3]]);

        for (more, is_found) in [(0, true), (1, false)] {
            let body = vec![7; room - ENTRY_HEAD_BYTES - PREFIX_BYTES - 2 + more];
            let mut large = Vec::new();
            put_delivery(&mut large, 1, 1, b"\0\0", &body);
            assert_eq!(Whole::find(&large, room).is_some(), is_found, "{more} bytes more than {room}");
        }
    }
}

#[test]
fn only_a_delivery_that_is_there_as_a_whole_is_found() {
    let mut input = Vec::new();
    put_delivery(&mut input, 1, 1, b"\0\0", b"body");
    let bytes = input.len();
    input.push(1);
    assert_eq!(Whole::find(&input, 1000).unwrap().1, bytes);
    for bytes in 0..bytes {
        assert!(Whole::find(&input[..bytes], 1000).is_none(), "{bytes} bytes of it");
    }
    let mut no_end = input[..bytes].to_vec();
    *no_end.last_mut().unwrap() = 0;
    assert!(Whole::find(&no_end, 1000).is_none());
    let mut other = Vec::new();
    put(&mut other, 1, (60, 80), |out| put_u64(out, 1));
    put(&mut other, 1, (60, 30), |out| put_short_string(out, "m"));
    assert!(Whole::find(&other, 1000).is_none());
}

#[test]
fn a_body_of_several_frames_is_no_part_of_a_bundle() {
    let mut input = Vec::new();
    put_delivery(&mut input, 1, 1, b"\0\0", b"body");
    let body_at = input.len() - (FRAME_HEAD_BYTES + 4 + 1);
    let (mut halves, body) = (input[..body_at].to_vec(), &input[body_at + FRAME_HEAD_BYTES..][..4]);
    body.chunks(2).for_each(|half| put_frame(&mut halves, &[FRAME_BODY, 0, 1], &[half]));
    assert!(Whole::find(&halves, 1000).is_none());
}

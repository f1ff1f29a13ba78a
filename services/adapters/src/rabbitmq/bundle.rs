//! A bundle: small deliveries of one consumer that arrived together, handed to lapin as one. Pure.
//!
//! For every delivery lapin takes three frames apart, clones the channel for each, and wakes the consumer's reader; a bundle of
//! twenty costs as much as a single one. [`guard`](super::guard) puts bundles together from what one look at the socket has brought,
//! so nothing waits for a bundle; [`consumer`](super::consumer) takes them apart again.

use std::collections::BTreeMap;

use bytes::{Buf as _, Bytes};

use super::frame::{
    FRAME_BODY, FRAME_END, FRAME_HEAD_BYTES, FRAME_HEADER, FRAME_METHOD, PROPERTIES_AT, channel, put_frame,
};
use super::properties::PREFIX_BYTES;

/// The routing key of a bundle. The guard blanks that of every other delivery.
pub const MARK: &str = "+";
/// The most bytes of a bundle. A job that takes long keeps all of its bundle in memory.
const BUNDLE_BYTES_MAX: usize = 8 * 1024;
/// Tag, whether it came before, and length come before each delivery of a bundle.
const ENTRY_HEAD_BYTES: usize = 8 + 1 + 4;

const DELIVER: &[u8] = &[0, 60, 0, 60];

/// A delivery that has arrived as a whole: a method, a header, and a body of one frame or none.
pub struct Whole<'a> {
    channel: u16,
    consumer: &'a [u8],
    tag: &'a [u8],
    redelivered: u8,
    properties: &'a [u8],
    body: &'a [u8],
}

/// One frame: its type, channel and payload, and what follows it.
type Frame<'a> = (u8, u16, &'a [u8], &'a [u8]);

fn frame(input: &[u8]) -> Option<Frame<'_>> {
    let head = input.first_chunk::<FRAME_HEAD_BYTES>()?;
    let bytes = u32::from_be_bytes([head[3], head[4], head[5], head[6]]) as usize;
    let (payload, rest) = input[FRAME_HEAD_BYTES..].split_at_checked(bytes)?;
    let (end, rest) = rest.split_first()?;
    (*end == FRAME_END).then(|| (head[0], channel(head), payload, rest))
}

impl<'a> Whole<'a> {
    /// The delivery at the beginning of `input`, and its length. `None`: something else, not all of it, or larger than a bundle.
    pub fn find(input: &'a [u8], bundle_bytes_max: usize) -> Option<(Self, usize)> {
        let (FRAME_METHOD, channel, method, rest) = frame(input)? else { return None };
        let method = method.strip_prefix(DELIVER)?;
        let (consumer, method) = method.split_at_checked(1 + usize::from(*method.first()?))?;
        let (tag, method) = method.split_at_checked(8)?;
        let (FRAME_HEADER, header_channel, header, rest) = frame(rest)? else { return None };
        let (head, properties) = header.split_at_checked(PROPERTIES_AT)?;
        let body_bytes = usize::try_from(u64::from_be_bytes(head[4..].try_into().ok()?)).ok()?;
        let (body_channel, body, rest) = match body_bytes {
            0 => (channel, [].as_slice(), rest),
            _ => match frame(rest)? {
                (FRAME_BODY, body_channel, body, rest) => (body_channel, body, rest),
                _ => return None,
            },
        };
        let is_one = header_channel == channel && body_channel == channel && body.len() == body_bytes;
        let whole = Self { channel, consumer, tag, redelivered: *method.first()?, properties, body };
        (is_one && whole.bytes() <= bundle_bytes_max).then_some((whole, input.len() - rest.len()))
    }

    /// The length of its entry in a bundle.
    fn bytes(&self) -> usize {
        ENTRY_HEAD_BYTES + self.data_bytes()
    }

    fn data_bytes(&self) -> usize {
        PREFIX_BYTES + self.properties.len() + self.body.len()
    }
}

/// The open bundles, by channel.
pub struct Bundles {
    bundles: BTreeMap<u16, Bundle>,
    bytes_max: usize,
}

struct Bundle {
    /// The consumer's tag, with its length before it.
    consumer: Vec<u8>,
    /// The tag of the first delivery.
    tag: [u8; 8],
    entries: Vec<u8>,
}

impl Bundles {
    /// A bundle's body fits into a frame of `frame_bytes_max`.
    pub fn new(frame_bytes_max: usize) -> Self {
        Self { bundles: BTreeMap::new(), bytes_max: bytes_max(frame_bytes_max) }
    }

    /// The largest bundle, and so the largest delivery in one.
    pub fn bytes_max(&self) -> usize {
        self.bytes_max
    }

    pub fn set_frame_bytes_max(&mut self, frame_bytes_max: usize) {
        self.bytes_max = bytes_max(frame_bytes_max);
    }

    /// Takes a delivery in. What has no room beside it goes to `out` before.
    pub fn add(&mut self, whole: &Whole<'_>, out: &mut Vec<u8>) {
        let fits = |bundle: &Bundle| {
            bundle.consumer == whole.consumer && bundle.entries.len() + whole.bytes() <= self.bytes_max
        };
        if !self.bundles.get(&whole.channel).is_some_and(fits) {
            self.flush(whole.channel, out);
        }
        let bundle = self.bundles.entry(whole.channel).or_insert_with(|| Bundle {
            consumer: whole.consumer.to_owned(),
            tag: whole.tag.try_into().expect("a tag has eight bytes"),
            entries: Vec::with_capacity(4 * whole.bytes()),
        });
        let length = |bytes: usize| u32::try_from(bytes).expect("smaller than a bundle").to_be_bytes();
        let entry: [&[u8]; 6] = [
            whole.tag,
            &[whole.redelivered],
            &length(whole.data_bytes()),
            &length(whole.properties.len()),
            whole.properties,
            whole.body,
        ];
        entry.iter().for_each(|part| bundle.entries.extend_from_slice(part));
    }

    fn flush(&mut self, channel: u16, out: &mut Vec<u8>) {
        if let Some(bundle) = self.bundles.remove(&channel) {
            bundle.put(channel, out);
        }
    }

    /// Hands all of them to lapin.
    pub fn flush_all(&mut self, out: &mut Vec<u8>) {
        while let Some((channel, bundle)) = self.bundles.pop_first() {
            bundle.put(channel, out);
        }
    }
}

fn bytes_max(frame_bytes_max: usize) -> usize {
    BUNDLE_BYTES_MAX.min(frame_bytes_max - FRAME_HEAD_BYTES - 1)
}

impl Bundle {
    fn put(self, channel: u16, out: &mut Vec<u8>) {
        let body_bytes = (self.entries.len() as u64).to_be_bytes();
        let key_bytes = [u8::try_from(MARK.len()).expect("it is short")];
        // Not delivered before, and no exchange: both are a zero.
        let method: [&[u8]; 6] = [DELIVER, &self.consumer, &self.tag, &[0, 0], &key_bytes, MARK.as_bytes()];
        let header: [&[u8]; 3] = [&[0, 60, 0, 0], &body_bytes, &[0, 0]];
        let [high, low] = channel.to_be_bytes();
        put_frame(out, &[FRAME_METHOD, high, low], &method);
        put_frame(out, &[FRAME_HEADER, high, low], &header);
        put_frame(out, &[FRAME_BODY, high, low], &[&self.entries]);
    }
}

/// One delivery of a bundle: properties and body as the guard puts them together for every message.
#[derive(Debug, PartialEq, Eq)]
pub struct BundledDelivery {
    pub tag: u64,
    pub redelivered: bool,
    pub data: Bytes,
}

/// The deliveries of a bundle, in the order of their tags. They share its memory.
pub fn parts(mut bundle: Bytes) -> impl Iterator<Item = BundledDelivery> {
    std::iter::from_fn(move || {
        let head = bundle.first_chunk::<ENTRY_HEAD_BYTES>()?;
        let [tag @ .., redelivered, a, b, c, d] = *head;
        let bytes = u32::from_be_bytes([a, b, c, d]) as usize;
        bundle.advance(ENTRY_HEAD_BYTES);
        let data = bundle.split_to(bytes.min(bundle.len()));
        Some(BundledDelivery { tag: u64::from_be_bytes(tag), redelivered: redelivered & 1 == 1, data })
    })
}

#[cfg(test)]
#[path = "bundle_tests.rs"]
mod tests;

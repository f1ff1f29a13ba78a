//! Reads the few methods of the broker that the [`guard`](super::guard) looks into: greeting, tuning, delivery, the close of a channel.

use super::frame::FRAME_HEAD_BYTES;
use super::properties::{HeaderValue, Reader, entries};

/// lapin takes a smaller agreed size for this one, which is AMQP's least.
pub const FRAME_BYTES_MIN: usize = 4096;
pub const CHANNEL_CLOSE: &[u8] = &[0, 20, 0, 40];
pub const CHANNEL_CLOSE_OK: &[u8] = &[0, 20, 0, 41];

/// The peer does not speak AMQP 0-9-1; the text says so to a person.
#[derive(Debug, PartialEq, Eq)]
pub struct NotAmqp(pub String);

/// The broker's word of itself before anything else.
#[derive(Debug)]
pub struct Greeting {
    /// The name of the broker's software, with its version.
    pub product: String,
    /// All nodes of a cluster say the same.
    pub cluster: Option<String>,
}

pub fn payload(frame: &[u8]) -> &[u8] {
    &frame[FRAME_HEAD_BYTES..frame.len() - 1]
}

/// The largest frame of the connection, if the method is the broker's tuning; it says 0 for no limit.
pub fn tuned(payload: &[u8]) -> Option<usize> {
    let bytes = payload.strip_prefix(&[0, 10, 0, 30])?.get(2..6)?;
    let frame_bytes_max = u32::from_be_bytes(bytes.try_into().ok()?) as usize;
    (frame_bytes_max > 0).then_some(frame_bytes_max.max(FRAME_BYTES_MIN))
}

/// The method of a delivery, around its exchange and routing key.
pub struct Delivered<'a> {
    pub before: &'a [u8],
    pub after: &'a [u8],
}

impl<'a> Delivered<'a> {
    /// `None` for any other method.
    pub fn find(payload: &'a [u8]) -> Option<Self> {
        let (names_at, after_bytes) = match payload.get(..4)? {
            // The consumer, its tag and whether it came before.
            [0, 60, 0, 60] => (4 + 1 + usize::from(*payload.get(4)?) + 8 + 1, 0),
            // The answer to a get has no consumer, and ends with the number of messages that are left.
            [0, 60, 0, 71] => (4 + 8 + 1, 4),
            _ => return None,
        };
        let (before, rest) = payload.split_at_checked(names_at)?;
        let (_, after) = rest.split_at_checked(rest.len().checked_sub(after_bytes)?)?;
        Some(Self { before, after })
    }
}

/// The greeting, if the method is the broker's start.
pub fn greeting(frame: &[u8]) -> Option<Greeting> {
    // The version of the protocol comes before the table.
    let mut start = Reader(payload(frame).strip_prefix(&[0, 10, 0, 10])?.get(2..)?);
    let (mut product, mut version, mut cluster) = ("AMQP broker", "", None);
    for (key, value) in entries(start.long()?) {
        match (key, value) {
            ("product", HeaderValue::Text(text)) => product = text,
            ("version", HeaderValue::Text(text)) => version = text,
            ("cluster_name", HeaderValue::Text(text)) => cluster = Some(text.to_owned()),
            _ => (),
        }
    }
    Some(Greeting { product: format!("{product} {version}").trim_end().to_owned(), cluster })
}

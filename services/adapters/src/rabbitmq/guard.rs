//! Stands between the socket and lapin, and rewrites what lapin's parser would take for a broken connection.
//!
//! lapin reads every short string as UTF-8, recurses into nested headers, and refuses a header frame above the agreed size: any of
//! these ends the connection. RabbitMQ checks none of them, so one message of a foreign client would cut off every worker that it is
//! delivered to, for ever. The guard passes such a message on without its properties: it is then not a job, and ends in the dead
//! queue. A goodbye that crosses the broker's own on the way is kept from lapin, which knows the channel no more. The guard also reads
//! the broker's name and version, which lapin does not tell.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

const FRAME_METHOD: u8 = 1;
const FRAME_HEADER: u8 = 2;
const FRAME_BODY: u8 = 3;
const FRAME_HEARTBEAT: u8 = 8;
const FRAME_END: u8 = 0xCE;
/// Type, channel and size come before a frame's payload.
const FRAME_HEAD_BYTES: usize = 7;
/// Class, weight and body size come before a header's properties.
const PROPERTIES_AT: usize = 12;
/// The largest method or header frame that is looked at as a whole.
const FRAME_BYTES_MAX: usize = 1024 * 1024;
const CHANNEL_CLOSE: &[u8] = &[0, 20, 0, 40];
const CHANNEL_CLOSE_OK: &[u8] = &[0, 20, 0, 41];
/// How deep headers may be nested.
const DEPTH_MAX: usize = 16;
/// A TLS alert, which is how a port that speaks TLS answers plain AMQP.
const TLS_ALERT: u8 = 0x15;

/// The peer does not speak AMQP 0-9-1; the text says so to a person.
#[derive(Debug, PartialEq, Eq)]
pub struct NotAmqp(pub String);

/// What has arrived, frame by frame.
pub struct Guard {
    /// Above this size lapin refuses a frame.
    frame_bytes_max: usize,
    /// Arrived, and not looked at yet.
    input: Vec<u8>,
    /// Looked at, and not taken yet; what was taken is cut off when all of it was.
    output: Vec<u8>,
    taken: usize,
    /// What is left of a body frame that is passed on as it arrives.
    passing: usize,
    /// The broker's product and version, once it has said them.
    server: Arc<OnceLock<String>>,
    /// Channels that the broker closed. lapin uses their numbers no more.
    closed: BTreeSet<u16>,
}

impl Guard {
    pub fn new(frame_bytes_max: usize, server: Arc<OnceLock<String>>) -> Self {
        Self {
            frame_bytes_max,
            input: Vec::new(),
            output: Vec::new(),
            taken: 0,
            passing: 0,
            server,
            closed: BTreeSet::new(),
        }
    }

    /// Copies what may be read into `out`; 0 when there is nothing.
    pub fn take(&mut self, out: &mut [u8]) -> usize {
        let count = out.len().min(self.output.len() - self.taken);
        out[..count].copy_from_slice(&self.output[self.taken..self.taken + count]);
        self.taken += count;
        if self.taken == self.output.len() {
            self.output.clear();
            self.taken = 0;
        }
        count
    }

    /// Looks at what has arrived.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(), NotAmqp> {
        let mut rest = std::mem::take(&mut self.input);
        let mut input = match rest.is_empty() {
            true => bytes,
            false => {
                rest.extend_from_slice(bytes);
                &rest[..]
            }
        };
        while let Some(used) = self.step(input)? {
            input = &input[used..];
        }
        self.input = input.to_vec();
        Ok(())
    }

    /// Handles what stands first and answers its length; `None` when more must arrive before.
    fn step(&mut self, input: &[u8]) -> Result<Option<usize>, NotAmqp> {
        if input.is_empty() {
            return Ok(None);
        }
        if self.passing > 0 {
            let count = self.passing.min(input.len());
            self.output.extend_from_slice(&input[..count]);
            self.passing -= count;
            return Ok(Some(count));
        }
        self.check_first(input)?;
        let Some(head) = input.first_chunk::<FRAME_HEAD_BYTES>() else { return Ok(None) };
        let payload_bytes = u32::from_be_bytes([head[3], head[4], head[5], head[6]]) as usize;
        let frame_bytes = FRAME_HEAD_BYTES + payload_bytes + 1;
        if !matches!(head[0], FRAME_METHOD | FRAME_HEADER) {
            self.passing = frame_bytes;
            return Ok(Some(0));
        }
        if frame_bytes > FRAME_BYTES_MAX {
            return Err(NotAmqp(format!("it sent a frame of {frame_bytes} bytes")));
        }
        let Some(frame) = input.get(..frame_bytes) else { return Ok(None) };
        match head[0] {
            FRAME_METHOD => self.method(frame),
            _ => self.header(frame),
        }
        Ok(Some(frame_bytes))
    }

    fn check_first(&self, input: &[u8]) -> Result<(), NotAmqp> {
        let what = match input[0] {
            FRAME_METHOD | FRAME_HEADER | FRAME_BODY | FRAME_HEARTBEAT => return Ok(()),
            _ if self.server.get().is_some() => "it sent a frame of an unknown type",
            TLS_ALERT => "it speaks TLS: use amqps:// in the broker's URL, or the port for plain AMQP",
            b'A' => "it speaks another version of AMQP",
            _ => "it answers something else",
        };
        Err(NotAmqp(what.into()))
    }

    fn method(&mut self, frame: &[u8]) {
        if self.server.get().is_none()
            && let Some(name) = server_name(frame)
        {
            _ = self.server.set(name);
        }
        if let Some(frame_bytes_max) = tuned(payload(frame)) {
            self.frame_bytes_max = self.frame_bytes_max.min(frame_bytes_max);
        }
        if self.is_late_goodbye(frame) {
            return;
        }
        match Delivered::find(payload(frame)) {
            Some(delivered) if !delivered.is_readable() => {
                put_frame(&mut self.output, frame, &[delivered.before, &[0, 0], delivered.after]);
            }
            _ => self.output.extend_from_slice(frame),
        }
    }

    /// The answer to our close of a channel that the broker closed before it read ours.
    fn is_late_goodbye(&mut self, frame: &[u8]) -> bool {
        let channel = u16::from_be_bytes([frame[1], frame[2]]);
        match payload(frame).get(..4) {
            Some(CHANNEL_CLOSE) => {
                self.closed.insert(channel);
                false
            }
            Some(CHANNEL_CLOSE_OK) => self.closed.contains(&channel),
            _ => false,
        }
    }

    fn header(&mut self, frame: &[u8]) {
        let payload = payload(frame);
        let fits = frame.len() <= self.frame_bytes_max;
        match payload.get(PROPERTIES_AT..) {
            Some(properties) if fits && Properties(properties).are_readable() => self.output.extend_from_slice(frame),
            // No property is there: both bytes of the flags are zero.
            Some(_) => put_frame(&mut self.output, frame, &[&payload[..PROPERTIES_AT], &[0, 0]]),
            None => self.output.extend_from_slice(frame),
        }
    }
}

fn payload(frame: &[u8]) -> &[u8] {
    &frame[FRAME_HEAD_BYTES..frame.len() - 1]
}

/// Writes `frame` with another payload.
fn put_frame(out: &mut Vec<u8>, frame: &[u8], payload: &[&[u8]]) {
    let bytes = u32::try_from(payload.iter().map(|part| part.len()).sum::<usize>()).expect("smaller than a frame");
    out.extend_from_slice(&frame[..3]);
    out.extend_from_slice(&bytes.to_be_bytes());
    payload.iter().for_each(|part| out.extend_from_slice(part));
    out.push(FRAME_END);
}

/// The largest frame of the connection, if the method is the broker's tuning; it says 0 for no limit.
fn tuned(payload: &[u8]) -> Option<usize> {
    let bytes = payload.strip_prefix(&[0, 10, 0, 30])?.get(2..6)?;
    let frame_bytes_max = u32::from_be_bytes(bytes.try_into().ok()?) as usize;
    (frame_bytes_max > 0).then_some(frame_bytes_max)
}

/// The method of a delivery, around its exchange and routing key.
struct Delivered<'a> {
    before: &'a [u8],
    names: &'a [u8],
    after: &'a [u8],
}

impl<'a> Delivered<'a> {
    /// `None` for any other method.
    fn find(payload: &'a [u8]) -> Option<Self> {
        let (names_at, after_bytes) = match payload.get(..4)? {
            // The consumer, its tag and whether it came before.
            [0, 60, 0, 60] => (4 + 1 + usize::from(*payload.get(4)?) + 8 + 1, 0),
            // The answer to a get has no consumer, and ends with the number of messages that are left.
            [0, 60, 0, 71] => (4 + 8 + 1, 4),
            _ => return None,
        };
        let (before, rest) = payload.split_at_checked(names_at)?;
        let (names, after) = rest.split_at_checked(rest.len().checked_sub(after_bytes)?)?;
        Some(Self { before, names, after })
    }

    fn is_readable(&self) -> bool {
        let mut names = Properties(self.names);
        (0..2).all(|_| names.short_string().is_some())
    }
}

/// Product and version, if the method is the broker's start.
fn server_name(frame: &[u8]) -> Option<String> {
    // The version of the protocol comes before the table.
    let mut entries = Properties(payload(frame).strip_prefix(&[0, 10, 0, 10])?.get(2..)?);
    let mut entries = Properties(entries.long()?);
    let (mut product, mut version) = ("AMQP broker".to_owned(), String::new());
    while !entries.0.is_empty() {
        let key_bytes = usize::from(entries.bytes(1)?[0]);
        let key = entries.bytes(key_bytes)?;
        let mut value = Properties(entries.0);
        entries.value(DEPTH_MAX)?;
        let text = match value.bytes(1)?[0] {
            b'S' => String::from_utf8_lossy(value.long()?).into_owned(),
            _ => continue,
        };
        match key {
            b"product" => product = text,
            b"version" => version = text,
            _ => (),
        }
    }
    Some(format!("{product} {version}").trim_end().to_owned())
}

/// The rest of a message's properties. Each reader answers `None` where lapin's would fail.
struct Properties<'a>(&'a [u8]);

impl<'a> Properties<'a> {
    /// The fields of basic properties, most significant flag first: text, table, byte or 8 bytes.
    const FIELDS: &'static [u8; 14] = b"sstbbssssTssss";

    fn are_readable(mut self) -> bool {
        self.all().is_some() && self.0.is_empty()
    }

    fn all(&mut self) -> Option<()> {
        let flags = u16::from_be_bytes(self.bytes(2)?.try_into().ok()?);
        for (index, field) in Self::FIELDS.iter().enumerate() {
            if flags & (0x8000 >> index) == 0 {
                continue;
            }
            match field {
                b's' => self.short_string(),
                b't' => self.table(DEPTH_MAX),
                b'b' => self.bytes(1).map(drop),
                _ => self.bytes(8).map(drop),
            }?;
        }
        Some(())
    }

    fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(bytes)
    }

    fn long(&mut self) -> Option<&'a [u8]> {
        let bytes = u32::from_be_bytes(self.bytes(4)?.try_into().ok()?);
        self.bytes(bytes as usize)
    }

    fn short_string(&mut self) -> Option<()> {
        let bytes = usize::from(self.bytes(1)?[0]);
        std::str::from_utf8(self.bytes(bytes)?).ok().map(drop)
    }

    fn table(&mut self, depth: usize) -> Option<()> {
        let mut entries = Self(self.long()?);
        while !entries.0.is_empty() {
            entries.short_string()?;
            entries.value(depth)?;
        }
        Some(())
    }

    fn array(&mut self, depth: usize) -> Option<()> {
        let mut values = Self(self.long()?);
        while !values.0.is_empty() {
            values.value(depth)?;
        }
        Some(())
    }

    fn value(&mut self, depth: usize) -> Option<()> {
        match self.bytes(1)?[0] {
            b't' | b'b' | b'B' => self.bytes(1).map(drop),
            b's' | b'U' | b'u' => self.bytes(2).map(drop),
            b'I' | b'i' | b'f' => self.bytes(4).map(drop),
            b'D' => self.bytes(5).map(drop),
            b'L' | b'l' | b'd' | b'T' => self.bytes(8).map(drop),
            b'S' | b'x' => self.long().map(drop),
            b'A' => self.array(depth.checked_sub(1)?),
            b'F' => self.table(depth.checked_sub(1)?),
            b'V' => Some(()),
            _ => None,
        }
    }
}

#[cfg(test)]
#[path = "guard_tests.rs"]
mod tests;

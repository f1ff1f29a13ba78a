//! Stands between the socket and lapin, and rewrites what lapin's parser would take for a broken connection, or would take long for.
//!
//! lapin reads every short string as UTF-8, recurses into nested headers, and refuses a header frame above the agreed size: any of
//! these ends the connection. RabbitMQ checks none of them, so one message of a foreign client would cut off every worker that it is
//! delivered to, for ever. And what lapin makes of well-formed properties was a fifth of a worker's CPU. So the
//! guard moves the properties of every message to the beginning of its body, where [`properties`](super::properties) reads them;
//! properties above the agreed size are left out, and so are the names of exchange and routing key, which nobody reads. Small
//! deliveries that arrive together become one ([`bundle`](super::bundle)).
//!
//! A goodbye that crosses the broker's own on the way is kept from lapin, which knows the channel no more. The guard also reads the
//! broker's name, version and cluster, which lapin does not tell.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

use super::bundle::{Bundles, Whole};
use super::frame::{
    FRAME_BODY, FRAME_END, FRAME_HEAD_BYTES, FRAME_HEADER, FRAME_HEARTBEAT, FRAME_METHOD, PROPERTIES_AT, channel,
    put_frame,
};
use super::methods::{CHANNEL_CLOSE, CHANNEL_CLOSE_OK, Delivered, Greeting, NotAmqp, greeting, payload, tuned};
use super::properties::PREFIX_BYTES;

const HEARTBEAT: [u8; 3] = [FRAME_HEARTBEAT, 0, 0];
/// Class and weight come before a header's body size.
const BODY_BYTES_AT: usize = 4;
/// The largest method, which is looked at as a whole.
const METHOD_BYTES_MAX: usize = 1024 * 1024;
/// A TLS alert, which is how a port that speaks TLS answers plain AMQP.
const TLS_ALERT: u8 = 0x15;

/// The bytes that have arrived, frame by frame.
pub struct FrameGuard {
    /// Above this size lapin refuses a frame.
    frame_bytes_max: usize,
    /// Arrived, and not looked at yet.
    input: Vec<u8>,
    /// Looked at, and not taken yet; what was taken is cut off when all of it was.
    output: Vec<u8>,
    taken: usize,
    /// Bytes still to come of a body frame that is passed on as it arrives.
    passing: usize,
    /// Bytes still to come of a header frame that is left out as it arrives.
    skipping: usize,
    /// Properties, with their length, that wait for the body of their message; and the channel of that.
    moving: Vec<u8>,
    moving_on: [u8; 2],
    /// Small deliveries that came with one look at the socket.
    bundles: Bundles,
    /// The broker's product and version, once it has said so.
    server: Arc<OnceLock<Greeting>>,
    /// Channels that the broker closed. lapin uses their numbers no more.
    closed: BTreeSet<u16>,
}

impl FrameGuard {
    pub fn new(frame_bytes_max: usize, server: Arc<OnceLock<Greeting>>) -> Self {
        Self {
            frame_bytes_max,
            input: Vec::new(),
            output: Vec::new(),
            taken: 0,
            passing: 0,
            skipping: 0,
            moving: Vec::new(),
            moving_on: [0; 2],
            bundles: Bundles::new(frame_bytes_max),
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
        let had = self.output.len();
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
        self.bundles.flush_all(&mut self.output);
        if self.output.len() == had && self.server.get().is_some() && self.passing == 0 {
            // A large header arrives. lapin would take it for silence, and give up a slow connection in the middle of it, each time anew.
            put_frame(&mut self.output, &HEARTBEAT, &[]);
        }
        Ok(())
    }

    /// Handles what stands first and answers its length; `None` when more must arrive before.
    fn step(&mut self, input: &[u8]) -> Result<Option<usize>, NotAmqp> {
        if input.is_empty() {
            return Ok(None);
        }
        if self.passing > 0 || self.skipping > 0 {
            return Ok(Some(self.pass_or_skip(input)));
        }
        self.check_first(input)?;
        let Some(head) = input.first_chunk::<FRAME_HEAD_BYTES>() else { return Ok(None) };
        let payload_bytes = u32::from_be_bytes([head[3], head[4], head[5], head[6]]) as usize;
        let frame_bytes = FRAME_HEAD_BYTES + payload_bytes + 1;
        if self.joins_properties(head, payload_bytes) {
            return Ok(Some(FRAME_HEAD_BYTES));
        }
        if let Some((whole, bytes)) = Whole::find(input, self.bundles.bytes_max()) {
            self.bundles.add(&whole, &mut self.output);
            return Ok(Some(bytes));
        }
        // Nothing overtakes a bundle, and none comes into the middle of a frame that is passed on as it arrives.
        self.bundles.flush_all(&mut self.output);
        match head[0] {
            FRAME_HEADER if frame_bytes > self.frame_bytes_max => Ok(self.large_header(input, frame_bytes)),
            FRAME_METHOD if frame_bytes > METHOD_BYTES_MAX => {
                Err(NotAmqp(format!("it sent a frame of {frame_bytes} bytes")))
            }
            FRAME_METHOD | FRAME_HEADER => self.whole(input, frame_bytes),
            _ => {
                self.passing = frame_bytes;
                Ok(Some(0))
            }
        }
    }

    /// A method or a header, which is looked at when all of it has arrived.
    fn whole(&mut self, input: &[u8], frame_bytes: usize) -> Result<Option<usize>, NotAmqp> {
        let Some(frame) = input.get(..frame_bytes) else { return Ok(None) };
        if frame.last() != Some(&FRAME_END) {
            return Err(NotAmqp("it sent a frame without an end".into()));
        }
        match frame[0] {
            FRAME_METHOD => self.method(frame),
            _ => self.header(frame),
        }
        Ok(Some(frame_bytes))
    }

    fn pass_or_skip(&mut self, input: &[u8]) -> usize {
        let count = self.passing.max(self.skipping).min(input.len());
        if self.passing > 0 {
            self.output.extend_from_slice(&input[..count]);
            self.passing -= count;
        } else {
            self.skipping -= count;
        }
        count
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
            && let Some(greeting) = greeting(frame)
        {
            _ = self.server.set(greeting);
        }
        if let Some(frame_bytes_max) = tuned(payload(frame)) {
            self.frame_bytes_max = self.frame_bytes_max.min(frame_bytes_max);
            self.bundles.set_frame_bytes_max(self.frame_bytes_max);
        }
        if self.is_late_goodbye(frame) {
            return;
        }
        match Delivered::find(payload(frame)) {
            Some(Delivered { before, after }) => put_frame(&mut self.output, frame, &[before, &[0, 0], after]),
            None => self.output.extend_from_slice(frame),
        }
    }

    /// True for the answer to Paceline's close of a channel that the broker had closed before it read that close.
    fn is_late_goodbye(&mut self, frame: &[u8]) -> bool {
        let channel = channel(frame);
        match payload(frame).get(..4) {
            Some(CHANNEL_CLOSE) => {
                self.closed.insert(channel);
                false
            }
            Some(CHANNEL_CLOSE_OK) => self.closed.contains(&channel),
            _ => false,
        }
    }

    /// The header without its properties, and these as the first part of the body.
    fn header(&mut self, frame: &[u8]) {
        match payload(frame).split_at_checked(PROPERTIES_AT) {
            Some((head, properties)) => self.moved(frame, head, properties),
            None => self.output.extend_from_slice(frame),
        }
    }

    /// A header above the agreed size, of which RabbitMQ makes no parts: without its properties.
    fn large_header(&mut self, input: &[u8], frame_bytes: usize) -> Option<usize> {
        let start = input.get(..FRAME_HEAD_BYTES + PROPERTIES_AT)?;
        self.moved(start, &start[FRAME_HEAD_BYTES..], &[]);
        self.skipping = frame_bytes - start.len();
        Some(start.len())
    }

    fn moved(&mut self, frame: &[u8], head: &[u8], properties: &[u8]) {
        let (class, body_bytes) = head.split_at(BODY_BYTES_AT);
        let body_bytes = u64::from_be_bytes(body_bytes.try_into().expect("eight bytes are left"));
        let more_bytes = (PREFIX_BYTES + properties.len()) as u64;
        // No property is there: both bytes of the flags are zero.
        put_frame(&mut self.output, frame, &[class, &body_bytes.saturating_add(more_bytes).to_be_bytes(), &[0, 0]]);
        let length = u32::try_from(properties.len()).expect("smaller than a frame");
        self.moving.extend_from_slice(&length.to_be_bytes());
        self.moving.extend_from_slice(properties);
        self.moving_on = [frame[1], frame[2]];
        if body_bytes == 0 {
            self.flush_properties();
        }
    }

    /// Joins properties that wait to the body that follows them: one frame less for lapin. Where they do not fit, or something else
    /// comes, they are a frame of their own.
    fn joins_properties(&mut self, head: &[u8; FRAME_HEAD_BYTES], payload_bytes: usize) -> bool {
        if self.moving.is_empty() {
            return false;
        }
        let bytes = self.moving.len() + payload_bytes;
        if head[0] != FRAME_BODY || head[1..3] != self.moving_on || FRAME_HEAD_BYTES + bytes + 1 > self.frame_bytes_max
        {
            self.flush_properties();
            return false;
        }
        let length = u32::try_from(bytes).expect("smaller than a frame");
        self.output.extend_from_slice(&head[..3]);
        self.output.extend_from_slice(&length.to_be_bytes());
        self.output.append(&mut self.moving);
        self.passing = payload_bytes + 1;
        true
    }

    fn flush_properties(&mut self) {
        let [high, low] = self.moving_on;
        put_frame(&mut self.output, &[FRAME_BODY, high, low], &[&self.moving]);
        self.moving.clear();
    }
}

#[cfg(test)]
#[path = "guard_tests.rs"]
mod tests;

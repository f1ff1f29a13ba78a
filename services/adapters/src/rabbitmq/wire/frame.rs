//! Frames: the envelope of everything on the wire. `type, channel, length, payload, 0xCE`.

use super::codec::{self, Malformed, put_u16, put_u32};

pub const METHOD: u8 = 1;
pub const HEADER: u8 = 2;
pub const BODY: u8 = 3;
pub const HEARTBEAT: u8 = 8;
const END: u8 = 0xCE;
/// Before and after a payload.
const HEAD_BYTES: usize = 7;
pub const OVERHEAD_BYTES: usize = HEAD_BYTES + 1;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    pub kind: u8,
    pub channel: u16,
    pub payload: &'a [u8],
}

/// Takes one whole frame from the front of `input`, or `None` if it has not all arrived yet.
pub fn split<'a>(input: &mut &'a [u8], frame_bytes_max: usize) -> codec::Decoded<Option<Frame<'a>>> {
    let Some((head, rest)) = input.split_first_chunk::<HEAD_BYTES>() else { return Ok(None) };
    let length = u32::from_be_bytes([head[3], head[4], head[5], head[6]]) as usize;
    if length + OVERHEAD_BYTES > frame_bytes_max {
        return Err(Malformed("a frame is longer than was agreed"));
    }
    if rest.len() <= length {
        return Ok(None);
    }
    if rest[length] != END {
        return Err(Malformed("a frame does not end where it should"));
    }
    *input = &rest[length + 1..];
    Ok(Some(Frame { kind: head[0], channel: u16::from_be_bytes([head[1], head[2]]), payload: &rest[..length] }))
}

/// Writes a frame, whose payload `payload` puts.
pub fn put(out: &mut Vec<u8>, kind: u8, channel: u16, payload: impl FnOnce(&mut Vec<u8>)) {
    out.push(kind);
    put_u16(out, channel);
    codec::put_table(out, payload);
    out.push(END);
}

pub fn put_heartbeat(out: &mut Vec<u8>) {
    put(out, HEARTBEAT, 0, |_| ());
}

/// Writes a message's body in as many frames as it needs; an empty body needs none.
pub fn put_body(out: &mut Vec<u8>, channel: u16, body: &[u8], frame_bytes_max: usize) {
    for part in body.chunks(frame_bytes_max - OVERHEAD_BYTES) {
        out.push(BODY);
        put_u16(out, channel);
        put_u32(out, u32::try_from(part.len()).expect("a part is shorter than a frame"));
        out.extend_from_slice(part);
        out.push(END);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_split_wherever_the_socket_cuts_them() {
        let mut out = Vec::new();
        put(&mut out, METHOD, 3, |out| out.extend_from_slice(b"hello"));
        put_heartbeat(&mut out);
        put_body(&mut out, 9, b"abcdefg", OVERHEAD_BYTES + 4);
        for cut in 0..out.len() {
            let mut input = &out[..cut];
            while let Some(frame) = split(&mut input, 100).unwrap() {
                assert!(matches!(
                    (frame.kind, frame.payload),
                    (METHOD, b"hello") | (HEARTBEAT, b"") | (BODY, b"abcd" | b"efg")
                ));
            }
            assert!(input.len() < HEAD_BYTES + 6);
        }
    }

    #[test]
    fn a_frame_that_is_too_long_or_does_not_end_is_refused() {
        let mut out = Vec::new();
        put(&mut out, METHOD, 3, |out| out.extend_from_slice(b"hello"));
        assert!(split(&mut out.as_slice(), 12).is_err());
        *out.last_mut().unwrap() = 0;
        assert!(split(&mut out.as_slice(), 100).is_err());
    }
}

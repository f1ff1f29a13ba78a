//! The frames of AMQP 0-9-1 on the wire: type, channel and size, the payload, and an end.

pub const FRAME_METHOD: u8 = 1;
pub const FRAME_HEADER: u8 = 2;
pub const FRAME_BODY: u8 = 3;
pub const FRAME_HEARTBEAT: u8 = 8;
pub const FRAME_END: u8 = 0xCE;
/// Type, channel and size come before a frame's payload.
pub const FRAME_HEAD_BYTES: usize = 7;
/// Class, weight and the size of the body come before a header's properties.
pub const PROPERTIES_AT: usize = 12;

/// The channel of a frame, or of the beginning of one.
pub fn channel(frame: &[u8]) -> u16 {
    u16::from_be_bytes([frame[1], frame[2]])
}

/// Writes a frame of the type and channel of `frame` with another payload.
pub fn put_frame(out: &mut Vec<u8>, frame: &[u8], payload: &[&[u8]]) {
    let bytes = u32::try_from(payload.iter().map(|part| part.len()).sum::<usize>()).expect("smaller than a frame");
    out.extend_from_slice(&frame[..3]);
    out.extend_from_slice(&bytes.to_be_bytes());
    payload.iter().for_each(|part| out.extend_from_slice(part));
    out.push(FRAME_END);
}

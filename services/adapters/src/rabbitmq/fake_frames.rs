//! Frames of AMQP for tests, as a broker writes them and reads them.

pub const METHOD: u8 = 1;
pub const HEADER: u8 = 2;
pub const BODY: u8 = 3;
pub const HEARTBEAT: u8 = 8;
const FRAME_END: u8 = 0xCE;
/// Flags of basic properties.
pub const CORRELATION_ID: u16 = 1 << 10;
pub const MESSAGE_ID: u16 = 1 << 7;

/// A frame of the client.
pub struct Frame {
    pub kind: u8,
    pub channel: u16,
    pub payload: Vec<u8>,
}

impl Frame {
    /// Takes the first frame, if all of it has arrived.
    pub fn split(received: &mut Vec<u8>) -> Option<Self> {
        let head = received.first_chunk::<7>()?;
        let (kind, channel) = (head[0], u16::from_be_bytes([head[1], head[2]]));
        let end = 7 + u32::from_be_bytes([head[3], head[4], head[5], head[6]]) as usize;
        (received.len() > end).then(|| {
            let payload = received[7..end].to_vec();
            received.drain(..=end);
            Self { kind, channel, payload }
        })
    }
}

/// Writes a method as the broker would.
pub fn put(out: &mut Vec<u8>, channel: u16, (class, method): (u16, u16), arguments: impl FnOnce(&mut Vec<u8>)) {
    put_frame(out, METHOD, channel, |out| {
        put_u16(out, class);
        put_u16(out, method);
        arguments(out);
    });
}

pub fn put_frame(out: &mut Vec<u8>, kind: u8, channel: u16, payload: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = Vec::new();
    payload(&mut bytes);
    out.push(kind);
    put_u16(out, channel);
    put_long_string(out, &bytes);
    out.push(FRAME_END);
}

pub fn put_u16(out: &mut Vec<u8>, number: u16) {
    out.extend_from_slice(&number.to_be_bytes());
}

pub fn put_u32(out: &mut Vec<u8>, number: u32) {
    out.extend_from_slice(&number.to_be_bytes());
}

pub fn put_u64(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(&number.to_be_bytes());
}

pub fn put_short_string(out: &mut Vec<u8>, text: &str) {
    out.push(u8::try_from(text.len()).unwrap());
    out.extend_from_slice(text.as_bytes());
}

/// Tables are written the same way.
pub fn put_long_string(out: &mut Vec<u8>, bytes: &[u8]) {
    put_u32(out, u32::try_from(bytes.len()).unwrap());
    out.extend_from_slice(bytes);
}

/// A message for the consumer "m", with its properties as they stand on the wire: flags and fields.
pub fn put_delivery(out: &mut Vec<u8>, channel: u16, tag: u64, properties: &[u8], body: &[u8]) {
    put(out, channel, (60, 60), |out| {
        put_short_string(out, "m");
        put_u64(out, tag);
        out.push(0);
        put_short_string(out, "test");
        put_short_string(out, "jobs");
    });
    put_content(out, channel, properties, body);
}

/// Header and body, which follow the method that they belong to.
pub fn put_content(out: &mut Vec<u8>, channel: u16, properties: &[u8], body: &[u8]) {
    put_frame(out, HEADER, channel, |out| {
        put_u16(out, 60);
        put_u16(out, 0);
        put_u64(out, body.len() as u64);
        out.extend_from_slice(properties);
    });
    // An empty body is no frame at all.
    if !body.is_empty() {
        put_frame(out, BODY, channel, |out| out.extend_from_slice(body));
    }
}

pub fn put_close(out: &mut Vec<u8>, channel: u16, code: u16, text: &str) {
    put(out, channel, if channel == 0 { (10, 50) } else { (20, 40) }, |out| {
        put_u16(out, code);
        put_short_string(out, text);
        put_u32(out, 0);
    });
}

pub fn put_ack(out: &mut Vec<u8>, channel: u16, tag: u64, multiple: bool) {
    put(out, channel, (60, 80), |out| {
        put_u64(out, tag);
        out.push(u8::from(multiple));
    });
}

/// Properties with one text.
pub fn with_text(flag: u16, text: &[u8]) -> Vec<u8> {
    let mut properties = flag.to_be_bytes().to_vec();
    properties.push(u8::try_from(text.len()).unwrap());
    properties.extend_from_slice(text);
    properties
}

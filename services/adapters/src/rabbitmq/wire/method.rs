//! The methods of AMQP 0-9-1 that Paceline speaks: how each is written, and what of an incoming one matters.

use super::codec::{
    self, Decoded, Malformed, Reader, put_long_string, put_short_string, put_table, put_u16, put_u32, put_u64,
};
use super::frame;

/// A method from the broker.
#[derive(Debug, Clone, PartialEq)]
pub enum Method<'a> {
    Start {
        server: &'a [u8],
        mechanisms: &'a [u8],
    },
    Tune {
        channels_max: u16,
        frame_bytes_max: u32,
        heartbeat_s: u16,
    },
    OpenOk,
    Close {
        code: u16,
        text: String,
    },
    CloseOk,
    Blocked {
        reason: String,
    },
    Unblocked,
    ChannelClose {
        code: u16,
        text: String,
    },
    ChannelCloseOk,
    ChannelFlow {
        active: bool,
    },
    /// The answer to a request, with its count of messages where it has one.
    Reply {
        messages: u64,
    },
    Cancel,
    Deliver {
        consumer: &'a [u8],
        tag: u64,
        redelivered: bool,
    },
    GetOk {
        tag: u64,
        redelivered: bool,
    },
    GetEmpty,
    Return,
    Ack {
        tag: u64,
        multiple: bool,
    },
    Nack {
        tag: u64,
        multiple: bool,
    },
}

impl<'a> Method<'a> {
    pub fn decode(payload: &'a [u8]) -> Decoded<Self> {
        let mut reader = Reader(payload);
        let id = (reader.u16()?, reader.u16()?);
        match id.0 {
            10 => Self::connection(id.1, &mut reader),
            20 => Self::channel(id.1, &mut reader),
            60 => Self::basic(id.1, &mut reader),
            _ => Self::reply(id, &mut reader),
        }
    }

    fn connection(method: u16, reader: &mut Reader<'a>) -> Decoded<Self> {
        Ok(match method {
            10 => {
                reader.u16()?;
                Self::Start { server: reader.long_string()?, mechanisms: reader.long_string()? }
            }
            30 => {
                Self::Tune { channels_max: reader.u16()?, frame_bytes_max: reader.u32()?, heartbeat_s: reader.u16()? }
            }
            41 => Self::OpenOk,
            50 => Self::Close { code: reader.u16()?, text: codec::text(reader.short_string()?) },
            51 => Self::CloseOk,
            60 => Self::Blocked { reason: codec::text(reader.short_string()?) },
            61 => Self::Unblocked,
            _ => return Err(Malformed("an unknown method of a connection")),
        })
    }

    fn channel(method: u16, reader: &mut Reader<'a>) -> Decoded<Self> {
        Ok(match method {
            11 => Self::Reply { messages: 0 },
            20 => Self::ChannelFlow { active: reader.u8()? & 1 == 1 },
            40 => Self::ChannelClose { code: reader.u16()?, text: codec::text(reader.short_string()?) },
            41 => Self::ChannelCloseOk,
            _ => return Err(Malformed("an unknown method of a channel")),
        })
    }

    fn basic(method: u16, reader: &mut Reader<'a>) -> Decoded<Self> {
        Ok(match method {
            // qos-ok, consume-ok, cancel-ok
            11 | 21 | 31 => Self::Reply { messages: 0 },
            30 => Self::Cancel,
            50 => Self::Return,
            60 => {
                let (consumer, tag) = (reader.short_string()?, reader.u64()?);
                Self::Deliver { consumer, tag, redelivered: reader.u8()? & 1 == 1 }
            }
            71 => Self::GetOk { tag: reader.u64()?, redelivered: reader.u8()? & 1 == 1 },
            72 => Self::GetEmpty,
            80 => Self::Ack { tag: reader.u64()?, multiple: reader.u8()? & 1 == 1 },
            120 => Self::Nack { tag: reader.u64()?, multiple: reader.u8()? & 1 == 1 },
            _ => return Err(Malformed("an unknown method of the basic class")),
        })
    }

    fn reply(id: (u16, u16), reader: &mut Reader<'a>) -> Decoded<Self> {
        Ok(match id {
            // exchange.declare-ok, queue.bind-ok, confirm.select-ok
            (40, 11) | (50, 21) | (85, 11) => Self::Reply { messages: 0 },
            (50, 11) => {
                reader.short_string()?;
                Self::Reply { messages: u64::from(reader.u32()?) }
            }
            // queue.purge-ok, queue.delete-ok
            (50, 31 | 41) => Self::Reply { messages: u64::from(reader.u32()?) },
            _ => return Err(Malformed("an unknown method")),
        })
    }
}

// === requests ===

/// Writes the frame of a method, whose arguments `arguments` puts.
fn put(out: &mut Vec<u8>, channel: u16, (class, method): (u16, u16), arguments: impl FnOnce(&mut Vec<u8>)) {
    frame::put(out, frame::METHOD, channel, |out| {
        put_u16(out, class);
        put_u16(out, method);
        arguments(out);
    });
}

pub fn start_ok(out: &mut Vec<u8>, client: impl FnOnce(&mut Vec<u8>), user: &str, password: &str) {
    put(out, 0, (10, 11), |out| {
        put_table(out, client);
        put_short_string(out, "PLAIN");
        put_long_string(out, format!("\0{user}\0{password}").as_bytes());
        put_short_string(out, "en_US");
    });
}

pub fn tune_ok(out: &mut Vec<u8>, channels_max: u16, frame_bytes_max: u32, heartbeat_s: u16) {
    put(out, 0, (10, 31), |out| {
        put_u16(out, channels_max);
        put_u32(out, frame_bytes_max);
        put_u16(out, heartbeat_s);
    });
}

pub fn open(out: &mut Vec<u8>, vhost: &str) {
    put(out, 0, (10, 40), |out| {
        put_short_string(out, vhost);
        out.extend_from_slice(&[0, 0]);
    });
}

/// Closes the connection (channel 0) or a channel, for no fault.
pub fn close(out: &mut Vec<u8>, channel: u16) {
    let method = if channel == 0 { (10, 50) } else { (20, 40) };
    put(out, channel, method, |out| {
        put_u16(out, 200);
        put_short_string(out, "done");
        put_u32(out, 0);
    });
}

pub fn close_ok(out: &mut Vec<u8>, channel: u16) {
    put(out, channel, if channel == 0 { (10, 51) } else { (20, 41) }, |_| ());
}

pub fn channel_open(out: &mut Vec<u8>, channel: u16) {
    put(out, channel, (20, 10), |out| out.push(0));
}

pub fn channel_flow_ok(out: &mut Vec<u8>, channel: u16, active: bool) {
    put(out, channel, (20, 21), |out| out.push(u8::from(active)));
}

pub fn confirm_select(out: &mut Vec<u8>, channel: u16) {
    put(out, channel, (85, 10), |out| out.push(0));
}

/// A durable direct exchange.
pub fn exchange_declare(out: &mut Vec<u8>, channel: u16, exchange: &str) {
    const DURABLE: u8 = 0b10;
    put(out, channel, (40, 10), |out| {
        put_u16(out, 0);
        put_short_string(out, exchange);
        put_short_string(out, "direct");
        out.push(DURABLE);
        put_table(out, |_| ());
    });
}

/// A durable queue with its arguments.
pub fn queue_declare(out: &mut Vec<u8>, channel: u16, queue: &str, arguments: impl FnOnce(&mut Vec<u8>)) {
    const DURABLE: u8 = 0b10;
    put(out, channel, (50, 10), |out| {
        put_u16(out, 0);
        put_short_string(out, queue);
        out.push(DURABLE);
        put_table(out, arguments);
    });
}

/// Asks about a queue without making it.
pub fn queue_declare_passive(out: &mut Vec<u8>, channel: u16, queue: &str) {
    const PASSIVE: u8 = 0b1;
    put(out, channel, (50, 10), |out| {
        put_u16(out, 0);
        put_short_string(out, queue);
        out.push(PASSIVE);
        put_table(out, |_| ());
    });
}

pub fn queue_bind(out: &mut Vec<u8>, channel: u16, queue: &str, exchange: &str, routing_key: &str) {
    put(out, channel, (50, 20), |out| {
        put_u16(out, 0);
        put_short_string(out, queue);
        put_short_string(out, exchange);
        put_short_string(out, routing_key);
        out.push(0);
        put_table(out, |_| ());
    });
}

pub fn queue_purge(out: &mut Vec<u8>, channel: u16, queue: &str) {
    put(out, channel, (50, 30), |out| {
        put_u16(out, 0);
        put_short_string(out, queue);
        out.push(0);
    });
}

pub fn queue_delete(out: &mut Vec<u8>, channel: u16, queue: &str) {
    put(out, channel, (50, 40), |out| {
        put_u16(out, 0);
        put_short_string(out, queue);
        out.push(0);
    });
}

/// Per consumer, for the consumers that this channel starts from now on.
pub fn qos(out: &mut Vec<u8>, channel: u16, prefetch: u16) {
    put(out, channel, (60, 10), |out| {
        put_u32(out, 0);
        put_u16(out, prefetch);
        out.push(0);
    });
}

pub fn consume(out: &mut Vec<u8>, channel: u16, queue: &str, consumer: &str) {
    put(out, channel, (60, 20), |out| {
        put_u16(out, 0);
        put_short_string(out, queue);
        put_short_string(out, consumer);
        out.push(0);
        put_table(out, |_| ());
    });
}

pub fn get(out: &mut Vec<u8>, channel: u16, queue: &str) {
    put(out, channel, (60, 70), |out| {
        put_u16(out, 0);
        put_short_string(out, queue);
        out.push(0);
    });
}

/// The method frame of a mandatory publish; header and body frames follow it.
pub fn publish(out: &mut Vec<u8>, channel: u16, exchange: &str, routing_key: &str) {
    const MANDATORY: u8 = 0b1;
    put(out, channel, (60, 40), |out| {
        put_u16(out, 0);
        put_short_string(out, exchange);
        put_short_string(out, routing_key);
        out.push(MANDATORY);
    });
}

pub fn ack(out: &mut Vec<u8>, channel: u16, tag: u64, multiple: bool) {
    put(out, channel, (60, 80), |out| {
        put_u64(out, tag);
        out.push(u8::from(multiple));
    });
}

pub fn nack_requeue(out: &mut Vec<u8>, channel: u16, tag: u64) {
    const REQUEUE: u8 = 0b10;
    put(out, channel, (60, 120), |out| {
        put_u64(out, tag);
        out.push(REQUEUE);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ack_is_written_as_it_is_read() {
        let mut out = Vec::new();
        ack(&mut out, 7, 1 << 40, true);
        let frame = frame::split(&mut out.as_slice(), 1000).unwrap().unwrap();
        assert_eq!(frame.channel, 7);
        assert_eq!(Method::decode(frame.payload), Ok(Method::Ack { tag: 1 << 40, multiple: true }));
    }

    #[test]
    fn a_method_that_is_cut_short_or_unknown_is_an_error() {
        let mut out = Vec::new();
        close(&mut out, 3);
        let frame = frame::split(&mut out.as_slice(), 1000).unwrap().unwrap();
        assert_eq!(Method::decode(frame.payload), Ok(Method::ChannelClose { code: 200, text: "done".into() }));
        assert!((0..6).all(|length| Method::decode(&frame.payload[..length]).is_err()));
        assert!(Method::decode(&[0, 99, 0, 1]).is_err());
    }
}

//! What the broker says: the methods of AMQP 0-9-1 that Paceline knows, and what of each matters.

use super::codec::{self, Decoded, Malformed, Reader};

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
            // exchange.declare-ok, exchange.delete-ok, queue.bind-ok, confirm.select-ok
            (40, 11 | 21) | (50, 21) | (85, 11) => Self::Reply { messages: 0 },
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

#[cfg(test)]
mod tests {
    use super::super::{frame, requests};
    use super::*;

    #[test]
    fn an_ack_is_written_as_it_is_read() {
        let mut out = Vec::new();
        requests::ack(&mut out, 7, 1 << 40, true);
        let frame = frame::split(&mut out.as_slice(), 1000).unwrap().unwrap();
        assert_eq!(frame.channel, 7);
        assert_eq!(Method::decode(frame.payload), Ok(Method::Ack { tag: 1 << 40, multiple: true }));
    }

    #[test]
    fn a_method_that_is_cut_short_or_unknown_is_an_error() {
        let mut out = Vec::new();
        requests::close(&mut out, 3);
        let frame = frame::split(&mut out.as_slice(), 1000).unwrap().unwrap();
        assert_eq!(Method::decode(frame.payload), Ok(Method::ChannelClose { code: 200, text: "done".into() }));
        assert!((0..6).all(|length| Method::decode(&frame.payload[..length]).is_err()));
        assert!(Method::decode(&[0, 99, 0, 1]).is_err());
    }
}

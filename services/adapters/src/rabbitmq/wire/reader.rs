//! The reading task: splits what arrives into frames and hands each to the channel that it is for.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use paceline_core::{Error, Result};
use tokio::io::AsyncReadExt as _;
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

use super::channel::{ChannelState, Event, Incoming};
use super::codec::Malformed;
use super::connection::Shared;
use super::frame::{self, Frame};
use super::method::Method;
use super::requests;
use super::transport::Input;
use super::{locked, properties};

/// How much is read at once.
const READ_BYTES: usize = 128 * 1024;
/// A body's buffer is made this large at most before its bytes arrive; it grows as they do.
const BODY_BYTES_TRUSTED: u64 = 1024 * 1024;
/// Half heartbeats without a byte after which the peer counts as dead: two whole heartbeats.
const SILENT_TICKS_MAX: u32 = 4;

/// A channel as the reading task sees it.
pub struct Entry {
    pub state: Arc<ChannelState>,
    pub events: mpsc::UnboundedSender<Event>,
    pub content: Content,
}

/// How far the content that follows a method has arrived.
pub enum Content {
    None,
    Header(Kind),
    Body { kind: Kind, header_bytes: usize, bytes_left: u64, bytes: BytesMut },
}

/// What a content belongs to.
#[derive(Clone, Copy)]
pub enum Kind {
    Delivery { consumer: u8, tag: u64, redelivered: bool },
    Return,
}

pub async fn run(shared: Arc<Shared>, mut input: Input, mut received: BytesMut, heartbeat: Duration) {
    let ended = shared.until_ended();
    tokio::pin!(ended);
    let mut tick = tokio::time::interval(heartbeat / 2);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut silent_ticks = 0;
    loop {
        if let Err(error) = handle(&shared, &mut received) {
            return shared.fail(error);
        }
        received.reserve(READ_BYTES);
        tokio::select! {
            read = input.read_buf(&mut received) => match read {
                Ok(0) => return shared.fail(lost(&shared, "it closed the connection")),
                Ok(_) => silent_ticks = 0,
                Err(e) => return shared.fail(lost(&shared, &e.to_string())),
            },
            _ = tick.tick() => {
                silent_ticks += 1;
                if silent_ticks >= SILENT_TICKS_MAX {
                    return shared.fail(lost(&shared, &format!("it is silent for {} s", heartbeat.as_secs() * 2)));
                }
            }
            () = &mut ended => return,
        }
    }
}

fn lost(shared: &Shared, reason: &str) -> Error {
    Error::unavailable(format!("the connection to RabbitMQ at {} is lost: {reason}", shared.label))
}

/// Handles every whole frame that is there.
fn handle(shared: &Shared, received: &mut BytesMut) -> Result<()> {
    let mut input = &received[..];
    let malformed = |Malformed(what)| lost(shared, &format!("it sent what is not AMQP: {what}"));
    {
        let mut channels = locked(&shared.channels);
        while let Some(frame) = frame::split(&mut input, shared.frame_bytes_max).map_err(malformed)? {
            dispatch(shared, &mut channels, frame)?;
        }
    }
    let consumed = received.len() - input.len();
    received.advance(consumed);
    Ok(())
}

fn dispatch(shared: &Shared, channels: &mut [Option<Entry>], frame: Frame<'_>) -> Result<()> {
    let malformed = |Malformed(what)| lost(shared, &format!("it sent what is not AMQP: {what}"));
    if frame.kind == frame::HEARTBEAT {
        return Ok(());
    }
    if frame.channel == 0 {
        return on_connection(shared, Method::decode(frame.payload).map_err(malformed)?);
    }
    let slot = channels.get_mut(usize::from(frame.channel));
    // What still arrives for a channel that is gone concerns nobody.
    let Some(entry) = slot.and_then(Option::as_mut) else { return Ok(()) };
    let is_gone = match frame.kind {
        frame::METHOD => {
            entry.on_method(shared, Method::decode(frame.payload).map_err(malformed)?).map_err(malformed)?
        }
        frame::HEADER => entry.on_header(frame.payload).map_err(malformed)?,
        frame::BODY => entry.on_body(frame.payload).map_err(malformed)?,
        _ => return Err(malformed(Malformed("a frame of an unknown type"))),
    };
    if is_gone {
        channels[usize::from(frame.channel)] = None;
    }
    Ok(())
}

fn on_connection(shared: &Shared, method: Method<'_>) -> Result<()> {
    match method {
        Method::Close { code, text } => {
            shared.send(|out| requests::close_ok(out, 0));
            Err(lost(shared, &format!("it says {code} {text}")))
        }
        Method::CloseOk => Err(lost(shared, "it was closed as asked")),
        Method::Blocked { reason } => {
            tracing::warn!(broker = %shared.label, %reason, "RabbitMQ takes no publishes for now");
            shared.blocked.send_replace(Some(reason));
            Ok(())
        }
        Method::Unblocked => {
            tracing::info!(broker = %shared.label, "RabbitMQ takes publishes again");
            shared.blocked.send_replace(None);
            Ok(())
        }
        _ => Err(lost(shared, "it sent a method for the connection that does not belong there")),
    }
}

/// Whatever ends a channel takes it out of the connection's table.
impl Drop for Entry {
    fn drop(&mut self) {
        // One waits at most; it may come later, and finds the permit.
        self.state.gone.notify_one();
    }
}

// === impl Entry: each answers whether the channel is gone ===

impl Entry {
    fn on_method(&mut self, shared: &Shared, method: Method<'_>) -> Result<bool, Malformed> {
        match method {
            Method::Deliver { consumer, tag, redelivered } => {
                let consumer = consumer.first().copied().unwrap_or_default();
                self.content = Content::Header(Kind::Delivery { consumer, tag, redelivered });
            }
            Method::GetOk { tag, redelivered } => {
                self.content = Content::Header(Kind::Delivery { consumer: 0, tag, redelivered });
            }
            Method::GetEmpty => self.emit(Event::Empty),
            Method::Return => self.content = Content::Header(Kind::Return),
            Method::Ack { tag, multiple } => self.state.decided(tag, multiple, false),
            Method::Nack { tag, multiple } => self.state.decided(tag, multiple, true),
            Method::Reply { messages } => self.state.replied(messages),
            Method::ChannelFlow { active } => {
                shared.send(|out| requests::channel_flow_ok(out, self.state.number, active))
            }
            Method::Cancel => self.emit(Event::Cancelled),
            Method::ChannelClose { code, text } => {
                shared.send(|out| requests::close_ok(out, self.state.number));
                self.state.close(&closed_by_broker(&shared.label, code, &text));
                // If both sides closed at once, the number is free only after the answer to our close.
                return Ok(!self.state.has_sent_close());
            }
            Method::ChannelCloseOk => return Ok(true),
            _ => return Err(Malformed("a method that does not belong to a channel")),
        }
        Ok(false)
    }

    fn on_header(&mut self, payload: &[u8]) -> Result<bool, Malformed> {
        let Content::Header(kind) = self.content else { return Err(Malformed("a header out of turn")) };
        let (bytes_left, header) = properties::split_header(payload)?;
        let trusted = usize::try_from(bytes_left.min(BODY_BYTES_TRUSTED)).expect("a megabyte");
        let mut bytes = BytesMut::with_capacity(header.len() + trusted);
        bytes.extend_from_slice(header);
        self.content = Content::Body { kind, header_bytes: header.len(), bytes_left, bytes };
        self.finish_if_whole();
        Ok(false)
    }

    fn on_body(&mut self, payload: &[u8]) -> Result<bool, Malformed> {
        let Content::Body { bytes_left, bytes, .. } = &mut self.content else {
            return Err(Malformed("a body out of turn"));
        };
        *bytes_left = bytes_left.checked_sub(payload.len() as u64).ok_or(Malformed("a body is longer than it said"))?;
        bytes.extend_from_slice(payload);
        self.finish_if_whole();
        Ok(false)
    }

    fn finish_if_whole(&mut self) {
        if !matches!(self.content, Content::Body { bytes_left: 0, .. }) {
            return;
        }
        let Content::Body { kind, header_bytes, bytes, .. } = std::mem::replace(&mut self.content, Content::None)
        else {
            return;
        };
        let mut body: Bytes = bytes.freeze();
        let header = body.split_to(header_bytes);
        match kind {
            Kind::Delivery { consumer, tag, redelivered } => {
                if self.state.delivered(tag) {
                    self.emit(Event::Message(Incoming { consumer, tag, redelivered, header, body }));
                }
            }
            Kind::Return => self.state.returned(&header),
        }
    }

    fn emit(&self, event: Event) {
        // Who does not listen any more is about to close the channel.
        _ = self.events.send(event);
    }
}

/// What the broker's code means to whoever used the channel.
fn closed_by_broker(label: &str, code: u16, text: &str) -> Error {
    let message = format!("RabbitMQ at {label} closed the channel: {code} {text}");
    match code {
        404 => Error::not_found(message),
        403 => Error::failed_precondition(format!("{message}; allow it with `rabbitmqctl set_permissions`")),
        406 if text.contains("inequivalent arg") => Error::failed_precondition(format!(
            "{message}; it was made with other settings: delete it when it is empty"
        )),
        _ => Error::unavailable(message),
    }
}

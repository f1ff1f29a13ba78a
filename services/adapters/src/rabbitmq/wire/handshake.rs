//! From a fresh socket to an open connection: protocol header, login, limits, vhost.

use bytes::{Buf as _, BytesMut};
use paceline_core::{Error, Result};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::codec::{self, Malformed, Reader, Value, put_flag_field, put_table_field, put_text_field};
use super::frame;
use super::method::Method;
use super::requests;
use super::transport::{Input, Output};
use crate::rabbitmq::config::Endpoint;

const PROTOCOL: &[u8] = b"AMQP\x00\x00\x09\x01";
/// What both sides agree on, in seconds: we take a broker for dead after two of them without a byte, and RabbitMQ us after two to
/// three. So what a worker held that was stopped or cut off goes to others after 6 to 9 s.
const HEARTBEAT_S_MAX: u16 = 3;
const CHANNELS_MAX: u16 = 2047;
const FRAME_BYTES_MAX: u32 = 128 * 1024;
const FRAME_BYTES_MIN: u32 = 4096;
/// What the standard allows before anything is agreed; RabbitMQ's start method fits.
const FRAME_BYTES_FIRST: usize = 128 * 1024;

/// What was agreed.
#[derive(Debug)]
pub struct Agreed {
    pub channels_max: u16,
    pub frame_bytes_max: usize,
    pub heartbeat_s: u16,
    /// Such as `RabbitMQ 3.10.8`.
    pub server: String,
}

pub struct Handshake<'a> {
    pub endpoint: &'a Endpoint,
    pub input: &'a mut Input,
    pub output: &'a mut Output,
    /// What has arrived and not been read; the reading task goes on with it.
    pub received: BytesMut,
}

impl Handshake<'_> {
    pub async fn run(&mut self, connection_name: &str) -> Result<Agreed> {
        self.send(PROTOCOL).await?;
        let server = self.receive(|method| match method {
            Method::Start { server, mechanisms } => is_plain(mechanisms).then(|| server_name(server)),
            _ => None,
        });
        let server = server.await?;
        let (user, password) = (&self.endpoint.user, &self.endpoint.password);
        let mut out = Vec::new();
        requests::start_ok(&mut out, |out| put_client(out, connection_name), user, password);
        self.send(&out).await?;

        let tune = self.receive(|method| match method {
            Method::Tune { channels_max, frame_bytes_max, heartbeat_s } => {
                Some((channels_max, frame_bytes_max, heartbeat_s))
            }
            _ => None,
        });
        let (channels_max, frame_bytes_max, heartbeat_s) = tune.await?;
        // Zero means that the broker has no limit.
        let channels_max = at_most(channels_max, CHANNELS_MAX);
        let frame_bytes_max = at_most(frame_bytes_max, FRAME_BYTES_MAX);
        if frame_bytes_max < FRAME_BYTES_MIN {
            return Err(self.not_amqp(Malformed("its frames are shorter than the standard's minimum")));
        }
        let heartbeat_s = at_most(heartbeat_s, HEARTBEAT_S_MAX);
        out.clear();
        requests::tune_ok(&mut out, channels_max, frame_bytes_max, heartbeat_s);
        requests::open(&mut out, &self.endpoint.vhost);
        self.send(&out).await?;
        self.receive(|method| matches!(method, Method::OpenOk).then_some(())).await?;
        Ok(Agreed { channels_max, frame_bytes_max: frame_bytes_max as usize, heartbeat_s, server })
    }

    async fn send(&mut self, bytes: &[u8]) -> Result<()> {
        let sent = async { self.output.write_all(bytes).await.and(self.output.flush().await) };
        sent.await.map_err(|e| self.lost(&e.to_string()))
    }

    /// Waits for the method that `want` takes; a close instead is the broker's refusal.
    async fn receive<T>(&mut self, want: impl Fn(Method<'_>) -> Option<T>) -> Result<T> {
        loop {
            if self.received.starts_with(b"AMQP") {
                let text = format!("{} does not speak AMQP 0-9-1; check the port", self.endpoint);
                return Err(Error::failed_precondition(text));
            }
            let mut input = &self.received[..];
            if let Some(frame) = frame::split(&mut input, FRAME_BYTES_FIRST).map_err(|e| self.not_amqp(e))? {
                let answer = (frame.kind == frame::METHOD).then(|| Method::decode(frame.payload)).transpose();
                let outcome = match answer.map_err(|e| self.not_amqp(e))? {
                    Some(Method::Close { code, text }) => Err(self.refused(code, &text)),
                    Some(method) => {
                        want(method).map(Some).ok_or_else(|| self.not_amqp(Malformed("an answer out of turn")))
                    }
                    None => Ok(None),
                };
                let consumed = self.received.len() - input.len();
                self.received.advance(consumed);
                if let Some(answer) = outcome? {
                    return Ok(answer);
                }
                continue;
            }
            match self.input.read_buf(&mut self.received).await {
                Ok(0) => return Err(self.lost("it closed the connection during the login")),
                Ok(_) => (),
                Err(e) => return Err(self.lost(&e.to_string())),
            }
        }
    }

    fn lost(&self, reason: &str) -> Error {
        Error::unavailable(format!("no connection to RabbitMQ at {}: {reason}", self.endpoint))
    }

    fn not_amqp(&self, Malformed(what): Malformed) -> Error {
        Error::failed_precondition(format!(
            "{} does not answer as RabbitMQ does ({what}); check the port",
            self.endpoint
        ))
    }

    fn refused(&self, code: u16, text: &str) -> Error {
        let Endpoint { user, vhost, .. } = self.endpoint;
        let (what, remedy) = match code {
            403 => (
                format!("refuses the login of user {user:?}"),
                "check user and password in the broker's URL".to_owned(),
            ),
            530 => (
                format!("refuses user {user:?} the vhost {vhost:?}"),
                format!("make it with `rabbitmqctl add_vhost {vhost}`, or allow it with `rabbitmqctl set_permissions`"),
            ),
            320 => return self.lost(text),
            _ => (format!("refuses the connection with code {code}"), "see RabbitMQ's log".to_owned()),
        };
        Error::failed_precondition(format!("RabbitMQ at {} {what}: {text}; {remedy}", self.endpoint))
    }
}

fn at_most<T: PartialOrd + Default>(offered: T, max: T) -> T {
    if offered == T::default() || offered > max { max } else { offered }
}

fn is_plain(mechanisms: &[u8]) -> bool {
    mechanisms.split(|byte| *byte == b' ').any(|mechanism| mechanism == b"PLAIN")
}

fn server_name(properties: &[u8]) -> String {
    let mut reader = Reader(properties);
    let (mut product, mut version) = (String::from("AMQP broker"), String::new());
    while let Ok((key, value)) = reader.field() {
        match (key, value) {
            (b"product", Value::Text(text)) => product = codec::text(text),
            (b"version", Value::Text(text)) => version = codec::text(text),
            _ => (),
        }
    }
    format!("{product} {version}").trim_end().to_owned()
}

fn put_client(out: &mut Vec<u8>, connection_name: &str) {
    put_text_field(out, "product", "Paceline");
    put_text_field(out, "version", env!("CARGO_PKG_VERSION"));
    put_text_field(out, "connection_name", connection_name);
    put_table_field(out, "capabilities", |out| {
        for name in [
            "publisher_confirms",
            "consumer_cancel_notify",
            "basic.nack",
            "connection.blocked",
            "authentication_failure_close",
        ] {
            put_flag_field(out, name, true);
        }
    });
}

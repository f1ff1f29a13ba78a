//! A broker of a few lines for tests: it answers what it must and misbehaves where the test says so.

use std::net::SocketAddr;
use std::sync::Arc;

use paceline_core::clock::SystemClock;
use paceline_core::ports::broker::Message;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::config::RabbitConfig;
use super::publisher::Publisher;
use super::wire::codec::{put_long_string, put_short_string, put_table, put_u16, put_u32, put_u64};
use super::wire::frame::{self, Frame};

/// Sees the class, method and channel of each method from the client, and writes what it likes.
type Script = Arc<dyn Fn((u16, u16), u16, &mut Vec<u8>) -> Act + Send + Sync>;

/// What the broker does after its script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Answers as a broker does.
    Answer,
    /// Says nothing to this.
    Ignore,
    /// Ends the connection.
    HangUp,
}

pub struct FakeBroker {
    pub address: SocketAddr,
    _tasks: JoinSet<()>,
}

impl FakeBroker {
    /// Without heartbeats: who waits for them takes it for dead.
    pub async fn start(script: impl Fn((u16, u16), u16, &mut Vec<u8>) -> Act + Send + Sync + 'static) -> Self {
        Self::listen(script, false).await
    }

    /// Answers each heartbeat with one.
    pub async fn with_heartbeats(
        script: impl Fn((u16, u16), u16, &mut Vec<u8>) -> Act + Send + Sync + 'static,
    ) -> Self {
        Self::listen(script, true).await
    }

    async fn listen(
        script: impl Fn((u16, u16), u16, &mut Vec<u8>) -> Act + Send + Sync + 'static,
        has_heartbeats: bool,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let script: Script = Arc::new(script);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                connections.spawn(serve(socket, script.clone(), has_heartbeats));
            }
        });
        Self { address, _tasks: tasks }
    }

    pub fn config(&self) -> RabbitConfig {
        RabbitConfig {
            url: format!("amqp://paul:geheim@{}/jobs", self.address),
            namespace: "test".into(),
            ca_file: None,
        }
    }

    pub fn publisher(&self) -> Publisher {
        Publisher::new(self.config().endpoint().unwrap(), None, "test".into(), SystemClock::shared())
    }
}

pub fn message(id: &str) -> Message {
    Message {
        id: id.into(),
        handler: "record".into(),
        run: "run".into(),
        seq: None,
        attempt: 1,
        timestamp_ms: 0,
        traceparent: None,
        body: bytes::Bytes::from_static(b"{}"),
    }
}

/// Writes a method as the broker would.
pub fn put(out: &mut Vec<u8>, channel: u16, (class, method): (u16, u16), arguments: impl FnOnce(&mut Vec<u8>)) {
    frame::put(out, frame::METHOD, channel, |out| {
        put_u16(out, class);
        put_u16(out, method);
        arguments(out);
    });
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

async fn serve(mut socket: TcpStream, script: Script, has_heartbeats: bool) {
    let (mut received, mut out) = (Vec::new(), Vec::new());
    let mut greeting = [0; 8];
    if socket.read_exact(&mut greeting).await.is_err() {
        return;
    }
    put(&mut out, 0, (10, 10), |out| {
        put_u16(out, 9);
        put_table(out, |_| ());
        put_long_string(out, b"AMQPLAIN PLAIN");
        put_long_string(out, b"en_US");
    });
    loop {
        if socket.write_all(&out).await.is_err() {
            return;
        }
        out.clear();
        match socket.read_buf(&mut received).await {
            Ok(0) | Err(_) => return,
            Ok(_) => (),
        }
        let mut input = &received[..];
        let mut hangs_up = false;
        while let Some(frame) = frame::split(&mut input, 1 << 20).unwrap() {
            if frame.kind == frame::HEARTBEAT && has_heartbeats {
                frame::put_heartbeat(&mut out);
            }
            hangs_up |= frame.kind == frame::METHOD && respond(frame, &script, &mut out) == Act::HangUp;
        }
        let rest = input.to_vec();
        received = rest;
        if hangs_up {
            _ = socket.write_all(&out).await;
            return;
        }
    }
}

fn respond(frame: Frame<'_>, script: &Script, out: &mut Vec<u8>) -> Act {
    let number = |at: usize| u16::from_be_bytes([frame.payload[at], frame.payload[at + 1]]);
    let method = (number(0), number(2));
    let act = script(method, frame.channel, out);
    if act != Act::Answer {
        return act;
    }
    let channel = frame.channel;
    match method {
        (10, 11) => put(out, 0, (10, 30), |out| {
            put_u16(out, 0);
            put_u32(out, 0);
            put_u16(out, 0);
        }),
        (10, 40) => put(out, 0, (10, 41), |out| out.push(0)),
        (20, 10) => put(out, channel, (20, 11), |out| put_u32(out, 0)),
        (40, 10) => put(out, channel, (40, 11), |_| ()),
        (50, 10) => put(out, channel, (50, 11), |out| {
            put_short_string(out, "q");
            put_u32(out, 0);
            put_u32(out, 0);
        }),
        (85, 10) => put(out, channel, (85, 11), |_| ()),
        // The rest of the methods that have an answer: its number is one more, and its arguments do not matter.
        (10 | 20, 50 | 40) | (50, 20) | (60, 10) => put(out, channel, (method.0, method.1 + 1), |_| ()),
        (60, 20 | 30) => put(out, channel, (60, method.1 + 1), |out| put_short_string(out, "m")),
        _ => (),
    }
    act
}

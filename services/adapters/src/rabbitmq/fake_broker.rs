//! A broker of a few lines for tests: it answers what it must and misbehaves where the test says so.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use paceline_core::clock::SystemClock;
use paceline_core::ports::broker::Message;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::config::RabbitConfig;
use super::fake_frames::{
    Frame, HEARTBEAT, METHOD, put, put_frame, put_long_string, put_short_string, put_u16, put_u32,
};
use super::publisher::Publisher;

pub const PUBLISH: (u16, u16) = (60, 40);
/// Few, so that a test can use them up.
pub const CHANNELS_MAX: u16 = 24;
/// The most that anything here takes on a slow machine; a defect shows as a failure then and not as a test that hangs.
const STORY_MAX: Duration = Duration::from_secs(120);

/// Sees the class, method, channel and arguments of each method from the client, and writes what it likes.
type Script = Arc<dyn Fn((u16, u16), u16, &[u8], &mut Vec<u8>) -> Act + Send + Sync>;

/// The broker's act after its script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Answers as a broker does.
    Answer,
    /// Leaves the method without an answer.
    Ignore,
    /// Ends the connection.
    HangUp,
}

pub struct FakeBroker {
    pub address: SocketAddr,
    _tasks: JoinSet<()>,
    /// The acts of a client of a silent broker: it greets, then hangs up.
    seen: mpsc::UnboundedReceiver<()>,
}

impl FakeBroker {
    /// Without heartbeats: who waits for them takes it for dead.
    pub async fn start(script: impl Fn((u16, u16), u16, &mut Vec<u8>) -> Act + Send + Sync + 'static) -> Self {
        Self::listen(move |method, channel, _, out| script(method, channel, out), false).await
    }

    /// Answers each heartbeat with one.
    pub async fn with_heartbeats(
        script: impl Fn((u16, u16), u16, &mut Vec<u8>) -> Act + Send + Sync + 'static,
    ) -> Self {
        Self::listen(move |method, channel, _, out| script(method, channel, out), true).await
    }

    /// A broker with heartbeats, and a script that sees the routing key of each publish; the key of other methods is empty.
    pub async fn with_routing_keys(
        script: impl Fn((u16, u16), u16, &str, &mut Vec<u8>) -> Act + Send + Sync + 'static,
    ) -> Self {
        let script = move |method: (u16, u16), channel: u16, arguments: &[u8], out: &mut Vec<u8>| {
            script(method, channel, if method == PUBLISH { routing_key(arguments) } else { "" }, out)
        };
        Self::listen(script, true).await
    }

    async fn listen(
        script: impl Fn((u16, u16), u16, &[u8], &mut Vec<u8>) -> Act + Send + Sync + 'static,
        has_heartbeats: bool,
    ) -> Self {
        let script: Script = Arc::new(script);
        Self::accept(move |socket, _| serve(socket, script.clone(), has_heartbeats)).await
    }

    /// Answers the greeting with `bytes`, and hangs up.
    pub async fn that_says(bytes: &'static [u8]) -> Self {
        Self::accept(move |mut socket, _| async move {
            let mut greeting = [0; 8];
            _ = socket.read_exact(&mut greeting).await;
            _ = socket.write_all(bytes).await;
        })
        .await
    }

    /// Accepts, and says nothing.
    pub async fn that_is_silent() -> Self {
        Self::accept(|mut socket, seen| async move {
            let mut greeting = [0; 8];
            socket.read_exact(&mut greeting).await.unwrap();
            seen.send(()).unwrap();
            while socket.read(&mut greeting).await.is_ok_and(|count| count > 0) {}
            _ = seen.send(());
        })
        .await
    }

    async fn accept<F: Future<Output = ()> + Send + 'static>(
        serve: impl Fn(TcpStream, mpsc::UnboundedSender<()>) -> F + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, seen) = mpsc::unbounded_channel();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                tokio::select! {
                    accepted = listener.accept() => {
                        let Ok((socket, _)) = accepted else { return };
                        connections.spawn(serve(socket, sender.clone()));
                    }
                    // A script that panics ends the broker, and with it what the test waits for: the test fails and does not hang.
                    Some(ended) = connections.join_next() => ended.unwrap(),
                }
            }
        });
        Self { address, _tasks: tasks, seen }
    }

    /// A client has sent its greeting.
    pub async fn greeted(&mut self) {
        self.seen.recv().await.unwrap();
    }

    /// The client that greeted has closed its socket.
    pub async fn hung_up(&mut self) {
        self.seen.recv().await.unwrap();
    }

    pub fn config(&self) -> RabbitConfig {
        RabbitConfig {
            url: format!("amqp://paul:geheim@{}/jobs", self.address),
            namespace: "test".into(),
            ca_file: None,
        }
    }

    pub fn publisher(&self) -> Publisher {
        Publisher::new(Arc::new(self.config().nodes().unwrap()), None, "test".into(), SystemClock::shared())
    }
}

/// Real time, whatever a test does to the runtime's: a thread of its own ends the wait.
pub async fn within<T>(story: impl Future<Output = T>) -> T {
    let (over, ended) = tokio::sync::oneshot::channel::<()>();
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    std::thread::spawn(move || {
        if stopped.recv_timeout(STORY_MAX).is_err_and(|error| error == RecvTimeoutError::Timeout) {
            _ = over.send(());
        }
    });
    let told = tokio::select! {
        told = story => told,
        Ok(()) = ended => panic!("nothing for {STORY_MAX:?}"),
    };
    drop(stop);
    told
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

async fn serve(mut socket: TcpStream, script: Script, has_heartbeats: bool) {
    let (mut received, mut out) = (Vec::new(), Vec::new());
    let mut greeting = [0; 8];
    if socket.read_exact(&mut greeting).await.is_err() {
        return;
    }
    put(&mut out, 0, (10, 10), |out| {
        put_u16(out, 9);
        put_long_string(out, b"");
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
        let mut hangs_up = false;
        while let Some(frame) = Frame::split(&mut received) {
            if frame.kind == HEARTBEAT && has_heartbeats {
                put_frame(&mut out, HEARTBEAT, 0, |_| ());
            }
            hangs_up |= frame.kind == METHOD && respond(&frame, &script, &mut out) == Act::HangUp;
        }
        if hangs_up {
            _ = socket.write_all(&out).await;
            return;
        }
    }
}

/// The arguments of a publish are a reserved number, the exchange and the routing key.
fn routing_key(arguments: &[u8]) -> &str {
    let key_at = 3 + usize::from(arguments[2]);
    let key_end = key_at + 1 + usize::from(arguments[key_at]);
    std::str::from_utf8(&arguments[key_at + 1..key_end]).unwrap()
}

fn respond(frame: &Frame, script: &Script, out: &mut Vec<u8>) -> Act {
    let number = |at: usize| u16::from_be_bytes([frame.payload[at], frame.payload[at + 1]]);
    let method = (number(0), number(2));
    let act = script(method, frame.channel, &frame.payload[4..], out);
    if act != Act::Answer {
        return act;
    }
    let channel = frame.channel;
    match method {
        (10, 11) => put(out, 0, (10, 30), |out| {
            put_u16(out, CHANNELS_MAX);
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
        // The tag is the last text before the options.
        (60, 20) => {
            let queue_bytes = usize::from(frame.payload[6]);
            let tag_at = 7 + queue_bytes;
            let tag_end = tag_at + 1 + usize::from(frame.payload[tag_at]);
            put(out, channel, (60, 21), |out| out.extend_from_slice(&frame.payload[tag_at..tag_end]));
        }
        (60, 30) => {
            put(out, channel, (60, 31), |out| out.extend_from_slice(&frame.payload[4..frame.payload.len() - 1]))
        }
        _ => (),
    }
    act
}

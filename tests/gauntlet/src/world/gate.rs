//! A gate: a TCP proxy between one role and one service, which can cut, stall or swallow what passes without either side
//! being touched. It stands where a network would, so every role has one of its own to each service.

use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

const CHUNK_BYTES: usize = 64 << 10;
/// The longest that one side of a half-open connection lives on after the other has gone.
const HALF_OPEN_MAX: Duration = Duration::from_secs(90);

/// The direction of bytes: up is from the role to the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Up,
    Down,
}

/// The treatment of bytes at the gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    Open,
    /// Connections are accepted, and nothing is forwarded until it is over.
    Stalled,
    /// Bytes one way vanish. A connection that this has happened to stays so: its stream has a hole, as if its peer had
    /// died without a word, and only a heartbeat or a timeout of those at its ends can tell.
    HalfOpen(Way),
    /// New connections are reset at once.
    Refused,
}

pub struct Gate {
    pub address: SocketAddr,
    flow: watch::Sender<Flow>,
    cuts: watch::Sender<u64>,
    _tasks: JoinSet<()>,
}

impl Gate {
    pub async fn to(upstream: SocketAddr) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (flow, cuts) = (watch::Sender::new(Flow::Open), watch::Sender::new(0));
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, upstream, flow.clone(), cuts.clone()));
        Ok(Self { address, flow, cuts, _tasks: tasks })
    }

    pub fn set(&self, flow: Flow) {
        self.flow.send_replace(flow);
    }

    /// Resets every connection there is.
    pub fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }
}

async fn accept(listener: TcpListener, upstream: SocketAddr, flow: watch::Sender<Flow>, cuts: watch::Sender<u64>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((role, _)) = accepted else { continue };
                if *flow.borrow() == Flow::Refused {
                    reset(&role);
                } else {
                    connections.spawn(carry(role, upstream, flow.subscribe(), cuts.subscribe()));
                }
            }
            Some(_) = connections.join_next() => (),
        }
    }
}

/// Closing then sends a reset instead of a friendly end.
fn reset(stream: &TcpStream) {
    _ = stream.set_zero_linger();
}

async fn carry(
    mut role: TcpStream,
    upstream: SocketAddr,
    mut flow: watch::Receiver<Flow>,
    mut cuts: watch::Receiver<u64>,
) {
    if flow.wait_for(|flow| *flow != Flow::Stalled).await.is_err() {
        return;
    }
    let Ok(mut service) = TcpStream::connect(upstream).await else { return reset(&role) };
    _ = (role.set_nodelay(true), service.set_nodelay(true));
    let is_cut = tokio::select! {
        () = both_ways(&mut role, &mut service, flow) => false,
        _ = cuts.changed() => true,
    };
    if is_cut {
        reset(&role);
        reset(&service);
    }
}

async fn both_ways(role: &mut TcpStream, service: &mut TcpStream, flow: watch::Receiver<Flow>) {
    let (role_read, role_write) = role.split();
    let (service_read, service_write) = service.split();
    let hole = OnceLock::new();
    let up = pump(role_read, service_write, Way::Up, flow.clone(), &hole);
    let down = pump(service_read, role_write, Way::Down, flow, &hole);
    tokio::pin!(up, down);
    let is_up_over = tokio::select! { () = &mut up => true, () = &mut down => false };
    if hole.get().is_some() {
        // The end of one side does not reach the other through a hole.
        let other_side = async { if is_up_over { down.await } else { up.await } };
        _ = tokio::time::timeout(HALF_OPEN_MAX, other_side).await;
    }
}

/// Until its source ends or its target is gone.
async fn pump(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    way: Way,
    mut flow: watch::Receiver<Flow>,
    hole: &OnceLock<Way>,
) {
    let mut chunk = vec![0; CHUNK_BYTES];
    while let Ok(count @ 1..) = from.read(&mut chunk).await {
        let Ok(now) = flow.wait_for(|flow| *flow != Flow::Stalled).await.map(|now| *now) else { return };
        if let Flow::HalfOpen(lost) = now {
            hole.get_or_init(|| lost);
        }
        if hole.get() != Some(&way) && to.write_all(&chunk[..count]).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn echo() -> (SocketAddr, JoinSet<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(async move {
                    let (mut read, mut write) = stream.into_split();
                    _ = tokio::io::copy(&mut read, &mut write).await;
                });
            }
        });
        (address, tasks)
    }

    async fn says(stream: &mut TcpStream, word: &[u8; 4]) -> std::io::Result<[u8; 4]> {
        stream.write_all(word).await?;
        let mut answer = [0; 4];
        stream.read_exact(&mut answer).await.map(|_| answer)
    }

    #[tokio::test]
    async fn it_carries_stalls_and_goes_on() {
        let (address, _echo) = echo().await;
        let gate = Gate::to(address).await.unwrap();
        let mut stream = TcpStream::connect(gate.address).await.unwrap();
        assert_eq!(&says(&mut stream, b"open").await.unwrap(), b"open");
        gate.set(Flow::Stalled);
        stream.write_all(b"held").await.unwrap();
        let mut answer = [0; 4];
        let waiting = tokio::time::timeout(Duration::from_millis(50), stream.read_exact(&mut answer)).await;
        assert!(waiting.is_err(), "a stalled gate forwarded {answer:?}");
        gate.set(Flow::Open);
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"held");
    }

    #[tokio::test]
    async fn a_cut_is_a_reset_and_a_refusal_too() {
        let (address, _echo) = echo().await;
        let gate = Gate::to(address).await.unwrap();
        let mut stream = TcpStream::connect(gate.address).await.unwrap();
        says(&mut stream, b"open").await.unwrap();
        gate.set(Flow::Refused);
        gate.cut();
        assert!(says(&mut stream, b"gone").await.is_err());
        let mut refused = TcpStream::connect(gate.address).await.unwrap();
        assert!(says(&mut refused, b"nope").await.is_err());
    }

    #[tokio::test]
    async fn a_half_open_connection_stays_silent_and_a_new_one_does_not() {
        let (address, _echo) = echo().await;
        let gate = Gate::to(address).await.unwrap();
        for way in [Way::Up, Way::Down] {
            let mut stream = TcpStream::connect(gate.address).await.unwrap();
            says(&mut stream, b"open").await.unwrap();
            gate.set(Flow::HalfOpen(way));
            let silent = tokio::time::timeout(Duration::from_millis(50), says(&mut stream, b"lost")).await;
            assert!(silent.is_err());
            gate.set(Flow::Open);
            let silent = tokio::time::timeout(Duration::from_millis(50), says(&mut stream, b"lost")).await;
            assert!(silent.is_err(), "a stream with a hole in it must not go on");
            let mut fresh = TcpStream::connect(gate.address).await.unwrap();
            says(&mut fresh, b"new.").await.unwrap();
        }
    }
}

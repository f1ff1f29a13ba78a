//! A TCP proxy in front of a service that a test can cut or stall, without touching the service that other tests use.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line {
    Open,
    /// Connections are closed, new ones at once.
    Cut,
    /// Connections stay and say nothing, as those of a stopped process do.
    Stalled,
}

/// Forwards until it is dropped.
pub struct Proxy {
    pub address: SocketAddr,
    line: watch::Sender<Line>,
    _tasks: JoinSet<()>,
}

impl Proxy {
    /// In front of the service at `url`; answers the URL through the proxy too.
    pub async fn before(url: &str) -> (Self, String) {
        let begin = url.find("://").map_or(0, |at| at + 3);
        let begin = url[begin..].rfind('@').map_or(begin, |at| begin + at + 1);
        let end = url[begin..].find('/').map_or(url.len(), |at| begin + at);
        let upstream = url[begin..end].to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let line = watch::Sender::new(Line::Open);
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, upstream, line.clone()));
        let through = format!("{}{address}{}", &url[..begin], &url[end..]);
        (Self { address, line, _tasks: tasks }, through)
    }

    pub fn set(&self, line: Line) {
        self.line.send_replace(line);
    }
}

async fn accept(listener: TcpListener, upstream: String, line: watch::Sender<Line>) {
    let mut connections = JoinSet::new();
    while let Ok((near, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        connections.spawn(forward(near, upstream.clone(), line.subscribe()));
    }
}

async fn forward(near: TcpStream, upstream: String, mut line: watch::Receiver<Line>) {
    let (up, down) = (line.clone(), line.clone());
    let forwarding = async {
        let Ok(far) = TcpStream::connect(upstream).await else { return };
        let ((near_read, near_write), (far_read, far_write)) = (near.into_split(), far.into_split());
        tokio::select! {
            biased;
            () = pump(near_read, far_write, up) => (),
            () = pump(far_read, near_write, down) => (),
        }
    };
    tokio::select! {
        biased;
        _ = line.wait_for(|line| *line == Line::Cut) => (),
        () = forwarding => (),
    }
}

async fn pump(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    mut line: watch::Receiver<Line>,
) {
    let mut bytes = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        if line.wait_for(|line| *line != Line::Stalled).await.is_err() || to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}

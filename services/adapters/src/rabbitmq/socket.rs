//! The socket as lapin sees it: guarded, and under Paceline's control until its end.
//!
//! lapin drives a connection from a thread of its own, which ends only with its socket. A broker that hangs in the handshake or in the
//! goodbye would keep that thread for ever, so whoever opened the connection holds a [`Cut`].

use std::future::Future;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use async_rs::Tokio;
use async_rs::traits::Reactor;
use async_rs::util::RuntimeParts;
use futures::io::{AsyncRead, AsyncWrite};
use futures::stream::Stream;
use futures::task::AtomicWaker;
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
use tokio::time::Sleep;

use super::guard::FrameGuard;
use super::methods::NotAmqp;
use super::transport::Transport;

/// The most that is read from the socket at once.
const READ_BYTES: usize = 64 * 1024;
/// The least time between two looks at a socket that has just been emptied. Each look wakes lapin's thread, and that one the readers
/// of its channels, so a connection is read at most a thousand times a second and not for every frame. What comes after a silence is
/// read at once.
const LOOK_INTERVAL: Duration = Duration::from_millis(1);
/// The interval for a busy connection, on which so many bytes have arrived in every millisecond: some 2,500 jobs a second.
const LOOK_INTERVAL_BUSY: Duration = Duration::from_millis(5);
const BUSY_BYTES_PER_MS: u128 = 1024;

/// The runtime that lapin runs on: Tokio, with [`Socket`]s.
pub type Kit = RuntimeParts<Tokio, SocketReactor>;

pub struct Socket {
    transport: Transport,
    guard: FrameGuard,
    buffer: Box<[u8]>,
    /// The reason for which nothing more will be read.
    end: Option<io::Error>,
    cut: Arc<Cut>,
    /// Runs until the next look, while `is_resting`.
    rest: Pin<Box<Sleep>>,
    is_resting: bool,
    looked_at: tokio::time::Instant,
}

/// Ends a socket from outside, whatever its peer does.
#[derive(Debug, Default)]
pub struct Cut {
    reason: OnceLock<&'static str>,
    reader: AtomicWaker,
}

impl Cut {
    /// Only the first reason counts.
    pub fn cut(&self, reason: &'static str) {
        _ = self.reason.set(reason);
        self.reader.wake();
    }

    fn check(&self) -> io::Result<()> {
        match self.reason.get() {
            Some(reason) => Err(io::Error::new(io::ErrorKind::ConnectionAborted, *reason)),
            None => Ok(()),
        }
    }
}

/// Ends the socket of a connection that nobody waits for any more.
pub struct CutOnDrop(pub Arc<Cut>);

impl Drop for CutOnDrop {
    fn drop(&mut self) {
        self.0.cut("it was given up");
    }
}

// === impl Socket ===

impl Socket {
    pub fn new(transport: Transport, guard: FrameGuard, cut: Arc<Cut>) -> Self {
        let rest = Box::pin(tokio::time::sleep(Duration::ZERO));
        let (buffer, looked_at) = (vec![0; READ_BYTES].into(), tokio::time::Instant::now());
        Self { transport, guard, buffer, end: None, cut, rest, is_resting: false, looked_at }
    }

    /// Reads once and has the guard look at it.
    fn poll_fill(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_resting {
            ready!(self.rest.as_mut().poll(context));
            self.is_resting = false;
        }
        let mut buffer = ReadBuf::new(&mut self.buffer);
        ready!(Pin::new(&mut self.transport).poll_read(context, &mut buffer))?;
        if buffer.remaining() > 0 {
            let now = tokio::time::Instant::now();
            let bytes = (buffer.filled().len() as u128).saturating_mul(1_000);
            let is_busy = bytes >= BUSY_BYTES_PER_MS * (now - self.looked_at).as_micros();
            self.is_resting = true;
            self.looked_at = now;
            self.rest.as_mut().reset(now + if is_busy { LOOK_INTERVAL_BUSY } else { LOOK_INTERVAL });
        }
        if buffer.filled().is_empty() {
            // An error, since lapin would take a plain end for one half of the connection.
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it closed the connection")));
        }
        let fed = self.guard.feed(buffer.filled());
        Poll::Ready(fed.map_err(|NotAmqp(what)| io::Error::new(io::ErrorKind::InvalidData, what)))
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, out: &mut [u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.cut.reader.register(context.waker());
        loop {
            this.cut.check()?;
            let count = this.guard.take(out);
            if count > 0 {
                return Poll::Ready(Ok(count));
            }
            if let Some(end) = this.end.take() {
                return Poll::Ready(Err(end));
            }
            if let Err(end) = ready!(this.poll_fill(context)) {
                // lapin looks at what it has read when there is nothing more for now, and at nothing after an error. So the end comes
                // with the next read: what the broker said last is often why.
                this.end = Some(end);
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.cut.check()?;
        Pin::new(&mut this.transport).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.cut.check()?;
        Pin::new(&mut this.transport).poll_write_vectored(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().transport).poll_flush(context)
    }

    /// Sends a goodbye as far as the peer takes it at once: lapin's thread would wait for more, and the socket closes anyway.
    fn poll_close(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        _ = Pin::new(&mut self.get_mut().transport).poll_shutdown(context);
        Poll::Ready(Ok(()))
    }
}

/// Tokio's timers. It makes no sockets: a connection is handed the one that it is for.
#[derive(Debug, Clone)]
pub struct SocketReactor(Tokio);

/// The parts of a runtime for connections that are opened from this task's runtime.
pub fn kit() -> Kit {
    RuntimeParts::new(Tokio::current(), SocketReactor(Tokio::current()))
}

impl Reactor for SocketReactor {
    type TcpStream = Socket;
    type Sleep = <Tokio as Reactor>::Sleep;

    fn register<H: Send + 'static>(&self, _: H) -> io::Result<impl AsyncRead + AsyncWrite + Send + Unpin + 'static> {
        Err::<Socket, _>(io::ErrorKind::Unsupported.into())
    }

    fn sleep(&self, duration: Duration) -> Self::Sleep {
        self.0.sleep(duration)
    }

    fn interval(&self, duration: Duration) -> impl Stream<Item = Instant> + Send + 'static {
        self.0.interval(duration)
    }

    fn tcp_connect_addr(&self, _: SocketAddr) -> impl Future<Output = io::Result<Socket>> + Send + 'static {
        std::future::ready(Err(io::ErrorKind::Unsupported.into()))
    }
}

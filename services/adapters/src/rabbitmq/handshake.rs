//! Opens a connection: socket, TLS, login and vhost, in bounded time, by lapin without its recovery.

use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use async_rs::Runtime;
use lapin::uri::{AMQPAuthority, AMQPQueryString, AMQPScheme, AMQPUri, AMQPUserInfo};
use lapin::{AsyncTcpStream, ConnectionProperties};
use paceline_core::error::codes;
use paceline_core::{Error, Result};

use super::endpoint::Endpoint;
use super::guard::FrameGuard;
use super::limits::{CHANNELS_MAX, FRAME_BYTES_MAX, HEARTBEAT_S};
use super::lock::locked;
use super::methods::Greeting;
use super::socket::{self, Cut, CutOnDrop, Socket};
use super::{errors, transport};

/// A connection that is open.
pub struct Opened {
    pub lapin: Arc<lapin::Connection>,
    pub greeting: Arc<OnceLock<Greeting>>,
    /// Ends the socket.
    pub end: CutOnDrop,
}

pub async fn open(endpoint: &Endpoint, ca_file: Option<&Path>, name: &str, timeout: Duration) -> Result<Opened> {
    // Boxed, since lapin's future would make every caller's a large one.
    let opening = Box::pin(open_unbounded(endpoint, ca_file, name));
    let opened = tokio::time::timeout(timeout, opening).await;
    let silent = || {
        Error::unavailable(format!("RabbitMQ at {endpoint} did not answer within {} s", timeout.as_secs()))
            .coded(codes::BROKER_TIMEOUT)
    };
    opened.map_err(|_| silent())?
}

async fn open_unbounded(endpoint: &Endpoint, ca_file: Option<&Path>, name: &str) -> Result<Opened> {
    let transport = transport::connect(endpoint, ca_file).await?;
    let (greeting, cut) = (Arc::new(OnceLock::new()), Arc::new(Cut::default()));
    let guard = FrameGuard::new(FRAME_BYTES_MAX as usize, greeting.clone());
    let fresh = Mutex::new(Some(Socket::new(transport, guard, cut.clone())));
    // Until the connection is open, a caller that gives up waiting ends the socket.
    let end = CutOnDrop(cut);
    let connect = async move |_, _| {
        let fresh = locked(&fresh).take();
        // lapin would try again where its options say so. They do not, and a socket lives once.
        fresh.map(AsyncTcpStream::Plain).ok_or_else(|| std::io::Error::from(std::io::ErrorKind::NotConnected).into())
    };
    let opened = lapin::Connection::connector(uri(endpoint), Runtime::new(socket::kit()), connect, properties(name));
    let lapin = Arc::new(opened.await.map_err(|error| errors::not_opened(endpoint, &error))?);
    Ok(Opened { lapin, greeting, end })
}

fn uri(endpoint: &Endpoint) -> AMQPUri {
    let Endpoint { host, port, user, password, vhost, .. } = endpoint;
    AMQPUri {
        scheme: AMQPScheme::AMQP,
        authority: AMQPAuthority {
            userinfo: AMQPUserInfo { username: user.clone(), password: password.clone() },
            host: host.clone(),
            port: *port,
        },
        vhost: vhost.clone(),
        query: AMQPQueryString {
            frame_max: Some(FRAME_BYTES_MAX),
            channel_max: Some(CHANNELS_MAX),
            heartbeat: Some(HEARTBEAT_S),
            ..AMQPQueryString::default()
        },
    }
}

fn properties(connection_name: &str) -> ConnectionProperties {
    ConnectionProperties::default()
        .with_client_property("product".into(), "Paceline".into())
        .with_client_property("version".into(), env!("CARGO_PKG_VERSION").into())
        .with_connection_name(connection_name.into())
}

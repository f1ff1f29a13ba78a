//! One Redis process, and how its client is built: plain or TLS, with the operating system's roots or an own CA file.

use std::time::Duration;

use paceline_core::error::codes;
use paceline_core::{Error, Result};
use redis::io::tcp::TcpSettings;
use redis::{Client, ConnectionInfo, IntoConnectionInfo, TlsCertificates};

/// The longest that sent bytes may stay unacknowledged. Then the connection counts as dead: a silent network must not keep it.
const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(5);

/// One Redis process, not yet connected to.
#[derive(Clone)]
pub(super) struct Server {
    pub(super) client: Client,
    /// `host:port`, for messages.
    pub(super) address: String,
}

impl Server {
    pub(super) fn at(url: &str, ca: Option<&[u8]>) -> Result<Self> {
        // The reason of the parser is left out: it may quote what it could not read, and so a password.
        let unreadable = "not a redis URL; write redis://host:6379 or rediss://user:password@host:6379";
        Self::with(url.into_connection_info().map_err(|_| wrong_url(unreadable))?, ca)
    }

    pub(super) fn with(info: ConnectionInfo, ca: Option<&[u8]>) -> Result<Self> {
        let tcp = TcpSettings::default().set_nodelay(true);
        #[cfg(target_os = "linux")]
        let tcp = tcp.set_user_timeout(UNACKNOWLEDGED_MAX);
        let info = info.set_tcp_settings(tcp);
        let address = info.addr().to_string();
        let client = match ca {
            None => Client::open(info),
            Some(pem) => {
                Client::build_with_tls(info, TlsCertificates { client_tls: None, root_cert: Some(pem.to_owned()) })
            }
        };
        let client = client.map_err(|e| wrong_url(format!("no client for redis at {address}: {e}")))?;
        Ok(Self { client, address })
    }
}

pub(super) fn wrong_url(what: impl Into<String>) -> Error {
    Error::invalid_field("ledger_url", what.into()).coded(codes::SERVICE_URL_INVALID)
}

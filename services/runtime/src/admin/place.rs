//! The place of an admin port: read from a flag or a setting, then bound.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

use paceline_core::{Error, Result};
use tokio::net::TcpListener;

use crate::auth::check_bind;
use crate::grpc;

/// The default ports.
pub const SCHEDULER_PORT: u16 = 9464;
pub const PRODUCER_PORT: u16 = 9465;
pub const WORKER_PORT: u16 = 9466;
/// The number of ports after the default one that are tried when it is taken, as by another worker on this machine.
const PORTS_TRIED: u16 = 100;

/// The wish for an admin port: `off`, an address, a host (with the role's default port), or nothing said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AdminAt {
    #[default]
    Default,
    Off,
    Host(IpAddr),
    Address(SocketAddr),
}

impl FromStr for AdminAt {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let host = || text.parse().map(Self::Host);
        match text {
            "off" => Ok(Self::Off),
            _ => text.parse().map(Self::Address).or_else(|_| host()).map_err(|_| {
                "must be HOST:PORT such as 127.0.0.1:9464, a HOST with the role's own port, or off".to_owned()
            }),
        }
    }
}

impl AdminAt {
    /// Binds the port; `None` when it is off. An address that was chosen is that one or an error; a default `port` that is taken is
    /// followed by the next free one.
    ///
    /// Errors: FAILED_PRECONDITION beyond loopback without a token, unless `allow_anonymous`; UNAVAILABLE if the port is taken.
    pub async fn bind(self, port: u16, token: Option<&str>, allow_anonymous: bool) -> Result<Option<TcpListener>> {
        let (host, last) = match self {
            Self::Off => return Ok(None),
            Self::Address(address) => (address, address.port()),
            Self::Default => ((Ipv4Addr::LOCALHOST, port).into(), port + PORTS_TRIED),
            Self::Host(host) => ((host, port).into(), port + PORTS_TRIED),
        };
        check_bind(host, token, allow_anonymous)?;
        for port in host.port()..last {
            if let Ok(listener) = TcpListener::bind((host.ip(), port)).await {
                return Ok(Some(listener));
            }
        }
        grpc::bind((host.ip(), last).into())
            .await
            .map(Some)
            .map_err(|error| Error { message: format!("admin port: {}, with --admin", error.message), ..error })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_taken_default_port_is_followed_by_the_next_and_a_chosen_one_is_an_error() {
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let port = taken.port().min(u16::MAX - PORTS_TRIED);
        let first = AdminAt::Default.bind(port, None, false).await.unwrap().unwrap().local_addr().unwrap();
        let held = TcpListener::bind(first).await.unwrap();
        let next = AdminAt::Default.bind(first.port(), None, false).await.unwrap().unwrap();
        assert_ne!(next.local_addr().unwrap().port(), first.port());
        let chosen = AdminAt::Address(held.local_addr().unwrap());
        let error = chosen.bind(port, None, false).await.unwrap_err();
        assert!(error.message.contains("admin port: cannot listen on 127.0.0.1:"), "{error}");
        assert!(AdminAt::Off.bind(port, None, false).await.unwrap().is_none());
    }

    #[test]
    fn places_are_read_and_nonsense_is_refused() {
        assert_eq!("off".parse(), Ok(AdminAt::Off));
        assert_eq!("0.0.0.0".parse(), Ok(AdminAt::Host([0, 0, 0, 0].into())));
        assert_eq!("[::1]:7".parse(), Ok(AdminAt::Address("[::1]:7".parse().unwrap())));
        assert!("here".parse::<AdminAt>().is_err());
    }
}

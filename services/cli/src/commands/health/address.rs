//! The address of an admin port, as people write it and as the settings of a role give it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use paceline_core::error::codes;
use paceline_core::{Error, Result};
use paceline_runtime::admin::{AdminAt, PRODUCER_PORT, SCHEDULER_PORT, WORKER_PORT};
use reqwest::Url;

/// The ports of roles that chose none.
const DEFAULT_PORTS: [u16; 3] = [SCHEDULER_PORT, PRODUCER_PORT, WORKER_PORT];

/// One admin port: `HOST:PORT`, or `http://HOST:PORT` as a role prints it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminAddress(Url);

impl FromStr for AdminAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "must be HOST:PORT, or http://HOST:PORT as the role printed it".to_owned();
        let with_scheme = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        let url = Url::parse(&with_scheme).map_err(|_| wrong())?;
        let is_bare = url.path() == "/" && url.query().is_none() && url.username().is_empty();
        // A URL drops the port that is its scheme's own, so 80 is looked for in the text.
        let has_port = url.port().is_some() || with_scheme.trim_end_matches('/').ends_with(":80");
        if url.scheme() != "http" || url.host().is_none() || !has_port || !is_bare {
            return Err(wrong());
        }
        if url.port() == Some(0) {
            return Err("port 0 stands for a free one, which the role printed at its start: name that".to_owned());
        }
        Ok(Self(url))
    }
}

impl AdminAddress {
    /// The URL of `/readyz` at this port.
    pub fn readyz(&self) -> Url {
        self.0.join("readyz").expect("a path can be added to an address")
    }

    /// `HOST:PORT`.
    pub fn name(&self) -> &str {
        self.0.as_str().trim_start_matches("http://").trim_end_matches('/')
    }
}

/// The places of a role that was started with this setting, seen from the same machine. The error says that no place can be asked.
pub fn places(at: AdminAt) -> Result<Vec<AdminAddress>> {
    match at {
        AdminAt::Off => Err(Error::failed_precondition(
            "the admin port is off (PACELINE_ADMIN, or admin of the settings file), so nobody can be asked; set HOST:PORT",
        ).coded(codes::ADMIN_OFF)),
        AdminAt::Address(address) => Ok(vec![place(address.ip(), address.port())?]),
        AdminAt::Host(host) => DEFAULT_PORTS.into_iter().map(|port| place(host, port)).collect(),
        AdminAt::Default => DEFAULT_PORTS.into_iter().map(|port| place(Ipv4Addr::LOCALHOST.into(), port)).collect(),
    }
}

/// A role that listens on all addresses is asked on loopback.
fn place(host: IpAddr, port: u16) -> Result<AdminAddress> {
    let host = match host {
        IpAddr::V4(host) if host.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(host) if host.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        host => host,
    };
    SocketAddr::new(host, port)
        .to_string()
        .parse()
        .map_err(|wrong: String| Error::invalid_field("admin", wrong).coded(codes::ADMIN_ADDRESS_INVALID))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(at: &str) -> Vec<String> {
        places(at.parse().unwrap()).unwrap().iter().map(|place| place.name().to_owned()).collect()
    }

    #[test]
    fn the_setting_of_the_role_says_where_to_ask() {
        assert_eq!(named("0.0.0.0:9464"), ["127.0.0.1:9464"]);
        assert_eq!(named("[::]:9000"), ["[::1]:9000"]);
        assert_eq!(named("10.0.0.7:9464"), ["10.0.0.7:9464"]);
        assert_eq!(named("0.0.0.0"), ["127.0.0.1:9464", "127.0.0.1:9465", "127.0.0.1:9466"]);
        assert_eq!(places(AdminAt::Default).unwrap().len(), 3);
        assert!(places(AdminAt::Off).unwrap_err().message.contains("is off"));
        assert!(places("0.0.0.0:0".parse().unwrap()).unwrap_err().message.contains("port 0"));
    }

    #[test]
    fn an_address_is_one_that_people_write_and_nothing_else() {
        for right in ["127.0.0.1:9464", "http://127.0.0.1:9464", "http://worker:9464/", "[::1]:9464", "worker:80"] {
            right.parse::<AdminAddress>().unwrap();
        }
        for wrong in ["", "9464", "worker", "https://worker:9464", "worker:9464/readyz", "u:p@worker:1", "worker:99999"]
        {
            assert!(wrong.parse::<AdminAddress>().is_err(), "{wrong}");
        }
    }
}

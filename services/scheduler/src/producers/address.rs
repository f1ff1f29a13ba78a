//! The address of one producer.

use std::net::{IpAddr, SocketAddr};

use url::Url;

/// One producer's address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProducerAddress {
    /// The address that is connected to, `http://host:port`; the producer is called by it.
    pub address: String,
    /// The address as it was configured, which calls name, where it is a name.
    pub origin: Option<String>,
}

impl ProducerAddress {
    /// One of the addresses that the name `url` has.
    pub fn of_name(url: &Url, found: &SocketAddr) -> Self {
        let host = match found.ip() {
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => format!("[{ip}]"),
        };
        let address = format!("{}://{host}:{}", url.scheme(), found.port());
        Self { address, origin: Some(url.as_str().trim_end_matches('/').to_owned()) }
    }
}

//! The entries of `--producers`, each an address, or a name whose addresses are looked up again and again.

use std::sync::Arc;

use paceline_core::error::codes;
use paceline_core::{Error, Result};
use paceline_runtime::resolver::Resolver;
use url::{Host, Url};

use super::address::ProducerAddress;
use super::name::ProducerName;

/// One entry of the list.
pub enum ProducerEntry {
    Fixed(ProducerAddress),
    Named(Arc<ProducerName>),
}

impl ProducerEntry {
    /// Reads `http://host:port`. `localhost` is one machine, whatever the number of its addresses, and stays as it is.
    pub fn parse(address: &str) -> Result<Self> {
        let wrong = |why: &str| {
            Error::invalid_field("producers", format!("{address:?} is not an address http://HOST:PORT: {why}"))
                .coded(codes::PRODUCERS_INVALID)
        };
        let url = Url::parse(address).map_err(|error| wrong(&error.to_string()))?;
        let fixed = || Self::Fixed(ProducerAddress { address: address.trim_end_matches('/').to_owned(), origin: None });
        let port = url.port_or_known_default().ok_or_else(|| wrong("it has no port"))?;
        match url.host() {
            None => Err(wrong("it has no host")),
            Some(Host::Ipv4(_) | Host::Ipv6(_)) => Ok(fixed()),
            Some(Host::Domain("localhost")) => Ok(fixed()),
            Some(Host::Domain(host)) => {
                Ok(Self::Named(Arc::new(ProducerName::new(url.clone(), host.to_owned(), port))))
            }
        }
    }

    pub fn addresses(&self) -> Vec<ProducerAddress> {
        match self {
            Self::Fixed(address) => vec![address.clone()],
            Self::Named(name) => name.addresses(),
        }
    }

    pub fn name(&self) -> Option<&Arc<ProducerName>> {
        match self {
            Self::Fixed(_) => None,
            Self::Named(name) => Some(name),
        }
    }
}

/// The addresses of the producers of one entry now, looked up once; for a caller that looks and does not stay.
pub async fn addresses_now(entry: &str, resolver: &dyn Resolver) -> Result<Vec<ProducerAddress>> {
    let entry = ProducerEntry::parse(entry)?;
    if let ProducerEntry::Named(name) = &entry {
        name.look_up_once(resolver).await?;
    }
    Ok(entry.addresses())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_an_address_or_a_name_and_nonsense_is_refused() {
        for fixed in ["http://10.0.0.1:50052", "http://[::1]:50052/", "http://localhost:50052"] {
            let addresses = ProducerEntry::parse(fixed).unwrap().addresses();
            assert_eq!(addresses, [ProducerAddress { address: fixed.trim_end_matches('/').to_owned(), origin: None }]);
        }
        let named = ProducerEntry::parse("http://Producer.example:50052").unwrap();
        let name = named.name().unwrap();
        assert_eq!((name.host.as_str(), name.port), ("producer.example", 50052));
        assert_eq!((named.addresses(), name.why_unknown().is_some()), (vec![], true), "unknown is not none");
        for wrong in ["producer:50052", "http://", "unix:///run/x", ""] {
            assert!(ProducerEntry::parse(wrong).is_err(), "{wrong}");
        }
    }
}

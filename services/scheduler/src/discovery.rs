//! Where producers are: the entries of `--producers`, each an address, or a name whose addresses are looked up again and again.
//!
//! A lookup that fails, or finds nothing, is no news: the addresses of before stay. What became of it is for people, and for the time
//! before the first answer, when nobody knows whether there is a producer.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use paceline_core::error::codes;
use paceline_core::{Error, Result};
use paceline_runtime::resolver::Resolver;
use serde_json::{Value, json};
use tokio::time::Instant;
use url::{Host, Url};

/// The pause between two lookups of a name: an address that is new is known within two of these.
const LOOKUP_INTERVAL: Duration = Duration::from_secs(3);
/// The same while the last lookup failed.
const LOOKUP_AGAIN: Duration = Duration::from_secs(1);
/// A lookup that takes longer is said to be late, and goes on.
const LOOKUP_LATE: Duration = Duration::from_secs(2);
/// Of a name at the beginning.
const NOT_YET: &str = "it was not looked up yet";
/// An address that so many answers in a row leave out is gone: a server of many addresses answers some of them at a time.
const MISSES_MAX: u32 = 3;
/// The most addresses of one name that are used.
pub const ADDRESSES_MAX: usize = 1_000;

/// One producer's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The address that is connected to, `http://host:port`; the producer is called by it.
    pub address: String,
    /// The address as it was configured, which calls name, where it is a name.
    pub origin: Option<String>,
}

/// One entry of the list.
pub enum Entry {
    Fixed(Place),
    Named(Arc<Name>),
}

/// A name, and what is known of it.
pub struct Name {
    url: Url,
    host: String,
    port: u16,
    found: Mutex<Found>,
}

struct Found {
    /// Of the last answers that had any, in order.
    addresses: Vec<SocketAddr>,
    /// The number of answers in a row that have left an address out, for those that are waited for.
    misses: BTreeMap<SocketAddr, u32>,
    /// The reason for which the last lookup brought nothing.
    why: Option<String>,
    since: Instant,
}

impl Entry {
    /// Reads `http://host:port`. `localhost` is one machine, whatever the number of its addresses, and stays as it is.
    pub fn parse(address: &str) -> Result<Self> {
        let wrong = |why: &str| {
            Error::invalid_field("producers", format!("{address:?} is not an address http://HOST:PORT: {why}"))
                .coded(codes::PRODUCERS_INVALID)
        };
        let url = Url::parse(address).map_err(|error| wrong(&error.to_string()))?;
        let fixed = || Self::Fixed(Place { address: address.trim_end_matches('/').to_owned(), origin: None });
        let port = url.port_or_known_default().ok_or_else(|| wrong("it has no port"))?;
        match url.host() {
            None => Err(wrong("it has no host")),
            Some(Host::Ipv4(_) | Host::Ipv6(_)) => Ok(fixed()),
            Some(Host::Domain("localhost")) => Ok(fixed()),
            Some(Host::Domain(host)) => Ok(Self::Named(Arc::new(Name::new(url.clone(), host.to_owned(), port)))),
        }
    }

    pub fn places(&self) -> Vec<Place> {
        match self {
            Self::Fixed(place) => vec![place.clone()],
            Self::Named(name) => name.places(),
        }
    }

    pub fn name(&self) -> Option<&Arc<Name>> {
        match self {
            Self::Fixed(_) => None,
            Self::Named(name) => Some(name),
        }
    }
}

/// Where the producers of one entry are now, asked once; for whoever looks and does not stay.
pub async fn places_now(address: &str, resolver: &dyn Resolver) -> Result<Vec<Place>> {
    let entry = Entry::parse(address)?;
    if let Entry::Named(name) = &entry {
        let found = resolver.addresses(&name.host, name.port).await?;
        name.note(Ok(found));
    }
    Ok(entry.places())
}

impl Name {
    fn new(url: Url, host: String, port: u16) -> Self {
        let why = Some(NOT_YET.to_owned());
        let found = Found { addresses: Vec::new(), misses: BTreeMap::new(), why, since: Instant::now() };
        Self { url, host, port, found: Mutex::new(found) }
    }

    /// The reason for which nobody knows where its producers are; `None` once that was known, whatever the last lookup said.
    pub fn why_unknown(&self) -> Option<String> {
        let found = self.lock();
        found.addresses.is_empty().then(|| found.why.clone().unwrap_or_default())
    }

    /// As it was configured.
    pub fn address(&self) -> &str {
        self.url.as_str().trim_end_matches('/')
    }

    /// For readiness: its addresses, and what is wrong with the last lookup.
    pub fn state(&self) -> Value {
        let found = self.lock();
        let since_ms = u64::try_from(found.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        json!({ "name": self.address(), "addresses": found.addresses, "ok": found.why.is_none(), "why": found.why, "since_ms": since_ms })
    }

    fn places(&self) -> Vec<Place> {
        let place = |address: &SocketAddr| {
            let host = match address.ip() {
                IpAddr::V4(ip) => ip.to_string(),
                IpAddr::V6(ip) => format!("[{ip}]"),
            };
            let address = format!("{}://{host}:{}", self.url.scheme(), address.port());
            Place { address, origin: Some(self.address().to_owned()) }
        };
        self.lock().addresses.iter().map(place).collect()
    }

    /// For ever: looks it up, and calls `changed` whenever its addresses are others.
    pub async fn follow(&self, resolver: &dyn Resolver, changed: impl Fn()) {
        loop {
            let found = self.look_up(resolver).await;
            let pause = if found.is_ok() { LOOKUP_INTERVAL } else { LOOKUP_AGAIN };
            if self.note(found) {
                changed();
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// One lookup, however long it takes: a second one beside it would hang where the first one does.
    async fn look_up(&self, resolver: &dyn Resolver) -> Result<Vec<SocketAddr>> {
        let mut lookup = resolver.addresses(&self.host, self.port);
        tokio::select! {
            biased;
            found = &mut lookup => return found,
            () = tokio::time::sleep(LOOKUP_LATE) => (),
        }
        let seconds = LOOKUP_LATE.as_secs();
        self.note(Err(Error::unavailable(format!("its lookup is not answered within {seconds} s; is DNS away?"))
            .coded(codes::HOST_NOT_RESOLVED)));
        lookup.await
    }

    /// True if its addresses are others than before.
    fn note(&self, looked_up: Result<Vec<SocketAddr>>) -> bool {
        let mut found = self.lock();
        let looked_up = match looked_up {
            Ok(none) if none.is_empty() => {
                Err(Error::unavailable(format!("the name {} has no address now", self.host))
                    .coded(codes::HOST_NOT_RESOLVED))
            }
            looked_up => looked_up,
        };
        match looked_up {
            Ok(mut addresses) => {
                self.bound(&mut addresses);
                if found.why.take().is_some() {
                    found.since = Instant::now();
                }
                found.take(addresses)
            }
            Err(error) => {
                let known = found.addresses.len();
                match found.why.replace(error.message.clone()) {
                    None => {
                        found.since = Instant::now();
                        tracing::warn!(producers = self.address(), %error, known, "the addresses of producers stay as they were");
                    }
                    // Whoever starts all roles at once sees no fault.
                    Some(why) if why == NOT_YET => {
                        tracing::info!(producers = self.address(), %error, "no producer is known yet")
                    }
                    Some(_) => (),
                }
                false
            }
        }
    }

    fn bound(&self, addresses: &mut Vec<SocketAddr>) {
        addresses.sort_unstable();
        addresses.dedup();
        if addresses.len() > ADDRESSES_MAX {
            let (name, found) = (self.address(), addresses.len());
            tracing::warn!(producers = name, found, used = ADDRESSES_MAX, "a name has more addresses than are used");
            addresses.truncate(ADDRESSES_MAX);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Found> {
        self.found.lock().expect("no code panics while it holds what was found")
    }
}

impl Found {
    /// True if the addresses are others than before, which those that are waited for are not.
    fn take(&mut self, answer: Vec<SocketAddr>) -> bool {
        let left_out = self.addresses.iter().filter(|known| answer.binary_search(known).is_err());
        let misses = left_out.map(|known| (*known, self.misses.get(known).unwrap_or(&0) + 1));
        let room = ADDRESSES_MAX - answer.len();
        self.misses = misses.filter(|(_, misses)| *misses < MISSES_MAX).take(room).collect();
        let mut addresses = answer;
        addresses.extend(self.misses.keys());
        addresses.sort_unstable();
        let is_new = self.addresses != addresses;
        self.addresses = addresses;
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_an_address_or_a_name_and_nonsense_is_refused() {
        for fixed in ["http://10.0.0.1:50052", "http://[::1]:50052/", "http://localhost:50052"] {
            let places = Entry::parse(fixed).unwrap().places();
            assert_eq!(places, [Place { address: fixed.trim_end_matches('/').to_owned(), origin: None }]);
        }
        let named = Entry::parse("http://Producer.example:50052").unwrap();
        let name = named.name().unwrap();
        assert_eq!((name.host.as_str(), name.port), ("producer.example", 50052));
        assert_eq!((named.places(), name.why_unknown().is_some()), (vec![], true), "unknown is not none");
        for wrong in ["producer:50052", "http://", "unix:///run/x", ""] {
            assert!(Entry::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn addresses_become_places_that_name_what_was_configured() {
        let name = Name::new("http://producer:7".parse().unwrap(), "producer".into(), 7);
        assert!(name.note(Ok(vec!["[::2]:7".parse().unwrap(), "10.0.0.2:7".parse().unwrap()])));
        let addresses: Vec<_> = name.places().into_iter().map(|place| (place.address, place.origin.unwrap())).collect();
        let origin = || "http://producer:7".to_owned();
        assert_eq!(addresses, [("http://10.0.0.2:7".to_owned(), origin()), ("http://[::2]:7".to_owned(), origin())]);
        assert!(!name.note(Ok(vec!["10.0.0.2:7".parse().unwrap(), "[::2]:7".parse().unwrap()])), "in another order");
        assert!(name.state()["ok"] == true && !name.note(Ok(vec![])) && name.places().len() == 2);
        assert!(name.state()["ok"] == false && name.why_unknown().is_none(), "{}", name.state());
    }

    #[test]
    fn an_address_is_gone_after_three_answers_without_it_and_failures_do_not_count() {
        let name = Name::new("http://producer:7".parse().unwrap(), "producer".into(), 7);
        let answer = |last: &[u8]| Ok(last.iter().map(|last| SocketAddr::from(([10, 0, 0, *last], 7))).collect());
        assert!(name.note(answer(&[1, 2])));
        for _ in 0..10 {
            assert!(!name.note(answer(&[1])) && !name.note(answer(&[1])) && !name.note(answer(&[2])));
            assert!(!name.note(Err(Error::unavailable("SERVFAIL"))) && !name.note(answer(&[])));
        }
        assert!(!name.note(answer(&[2])) && name.note(answer(&[2])), "the third in a row");
        assert_eq!(name.places().len(), 1);
    }
}

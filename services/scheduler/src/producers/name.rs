//! A name of producers: looked up again and again, for as long as the scheduler runs.
//!
//! A lookup that fails, or finds nothing, is no news: the addresses of before stay. The reason is kept for people, and for the time before
//! the first answer, when nobody knows whether there is a producer.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use paceline_core::error::codes;
use paceline_core::{Error, Result};
use paceline_runtime::resolver::Resolver;
use serde_json::{Value, json};
use tokio::time::Instant;
use url::Url;

use super::address::ProducerAddress;

/// The pause between two lookups of a name: an address that is new is known within two of these.
const LOOKUP_INTERVAL: Duration = Duration::from_secs(3);
/// The time from one lookup to the next while the last one failed.
const LOOKUP_AGAIN: Duration = Duration::from_secs(1);
/// A lookup that takes longer is said to be late, and goes on.
const LOOKUP_LATE: Duration = Duration::from_secs(2);
/// The reason for which a name is unknown at the beginning.
const NOT_YET: &str = "it was not looked up yet";
/// An address that so many answers in a row leave out is gone: a server of many addresses answers some of them at a time.
const MISSES_MAX: u32 = 3;
/// The most addresses of one name that are used.
pub const ADDRESSES_MAX: usize = 1_000;

/// A name, and what is known of it.
pub struct ProducerName {
    url: Url,
    pub host: String,
    pub port: u16,
    found: Mutex<Found>,
}

struct Found {
    /// The addresses of the last answers that had any, in order.
    addresses: Vec<SocketAddr>,
    /// The number of answers in a row that have left an address out, for those that are waited for.
    misses: BTreeMap<SocketAddr, u32>,
    /// The reason for which the last lookup brought nothing.
    why: Option<String>,
    since: Instant,
}

impl ProducerName {
    pub fn new(url: Url, host: String, port: u16) -> Self {
        let why = Some(NOT_YET.to_owned());
        let found = Found { addresses: Vec::new(), misses: BTreeMap::new(), why, since: Instant::now() };
        Self { url, host, port, found: Mutex::new(found) }
    }

    /// The reason for which nobody knows the name's addresses; `None` once they were known, whatever the last lookup said.
    pub fn why_unknown(&self) -> Option<String> {
        let found = self.lock();
        found.addresses.is_empty().then(|| found.why.clone().unwrap_or_default())
    }

    /// The name as it was configured.
    pub fn address(&self) -> &str {
        self.url.as_str().trim_end_matches('/')
    }

    /// For readiness: the name's addresses, and what is wrong with the last lookup.
    pub fn state(&self) -> Value {
        let found = self.lock();
        let since_ms = u64::try_from(found.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        json!({ "name": self.address(), "addresses": found.addresses, "ok": found.why.is_none(), "why": found.why, "since_ms": since_ms })
    }

    /// The address of each producer.
    pub fn addresses(&self) -> Vec<ProducerAddress> {
        self.lock().addresses.iter().map(|found| ProducerAddress::of_name(&self.url, found)).collect()
    }

    /// One lookup for whoever does not stay; its failure is the answer.
    pub async fn look_up_once(&self, resolver: &dyn Resolver) -> Result<()> {
        let found = resolver.addresses(&self.host, self.port).await?;
        self.note(Ok(found));
        Ok(())
    }

    /// Looks the name up, and calls `changed` whenever its addresses are others. Never returns.
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

    /// One lookup, however long it takes: a second lookup beside it would hang where the first one does.
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

    /// True if the name's addresses are others than before.
    fn note(&self, looked_up: Result<Vec<SocketAddr>>) -> bool {
        match looked_up {
            Ok(none) if none.is_empty() => self.note_failure(
                Error::unavailable(format!("the name {} has no address now", self.host))
                    .coded(codes::HOST_NOT_RESOLVED),
            ),
            Ok(addresses) => self.note_answer(addresses),
            Err(error) => self.note_failure(error),
        }
    }

    fn note_answer(&self, mut addresses: Vec<SocketAddr>) -> bool {
        self.bound(&mut addresses);
        let mut found = self.lock();
        if found.why.take().is_some() {
            found.since = Instant::now();
        }
        found.take(addresses)
    }

    fn note_failure(&self, error: Error) -> bool {
        let mut found = self.lock();
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
    /// True if the addresses are others than before; an address that is waited for is none of the others.
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
    fn addresses_go_with_the_name_that_was_configured() {
        let name = ProducerName::new("http://producer:7".parse().unwrap(), "producer".into(), 7);
        assert!(name.note(Ok(vec!["[::2]:7".parse().unwrap(), "10.0.0.2:7".parse().unwrap()])));
        let addresses: Vec<_> =
            name.addresses().into_iter().map(|found| (found.address, found.origin.unwrap())).collect();
        let origin = || "http://producer:7".to_owned();
        assert_eq!(addresses, [("http://10.0.0.2:7".to_owned(), origin()), ("http://[::2]:7".to_owned(), origin())]);
        assert!(!name.note(Ok(vec!["10.0.0.2:7".parse().unwrap(), "[::2]:7".parse().unwrap()])), "in another order");
        assert!(name.state()["ok"] == true && !name.note(Ok(vec![])) && name.addresses().len() == 2);
        assert!(name.state()["ok"] == false && name.why_unknown().is_none(), "{}", name.state());
    }

    #[test]
    fn an_address_is_gone_after_three_answers_without_it_and_failures_do_not_count() {
        let name = ProducerName::new("http://producer:7".parse().unwrap(), "producer".into(), 7);
        let answer = |last: &[u8]| Ok(last.iter().map(|last| SocketAddr::from(([10, 0, 0, *last], 7))).collect());
        assert!(name.note(answer(&[1, 2])));
        for _ in 0..10 {
            assert!(!name.note(answer(&[1])) && !name.note(answer(&[1])) && !name.note(answer(&[2])));
            assert!(!name.note(Err(Error::unavailable("SERVFAIL"))) && !name.note(answer(&[])));
        }
        assert!(!name.note(answer(&[2])) && name.note(answer(&[2])), "the third in a row");
        assert_eq!(name.addresses().len(), 1);
    }
}

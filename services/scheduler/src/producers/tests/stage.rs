//! Producers behind a name, on paused time: the DNS that the scheduler asks, and the machines that it connects to.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use paceline_core::ids::RunId;
use paceline_core::job::Range;
use paceline_core::ports::RangePublisher;
use paceline_core::ports::broker::Depth;
use paceline_core::trace::Sampling;
use paceline_core::{Error, Result};
use paceline_runtime::lifecycle::Shutdown;
use paceline_runtime::resolver::Resolver;

use crate::producers::address::ProducerAddress;
use crate::producers::admission::Ask;
use crate::producers::entry::ProducerEntry;
use crate::producers::pool::Producers;
use crate::producers::remote::{Ends, HealthCheck};

pub const NAME: &str = "http://producer:50052";
/// New addresses must be used within this.
pub const KNOWN_WITHIN: Duration = Duration::from_secs(10);
/// Longer than anything that a test waits for.
pub const ENDLESS: Duration = Duration::from_secs(600);

/// The name's answer now: addresses, a failure, or no answer at all.
#[derive(Clone)]
pub enum Dns {
    Has(Vec<u8>),
    Fails,
    IsSilent,
}

pub struct Names(Mutex<Dns>);

impl Names {
    pub fn set(&self, dns: Dns) {
        *self.0.lock().unwrap() = dns;
    }
}

#[async_trait]
impl Resolver for Names {
    async fn addresses(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>> {
        assert_eq!(host, "producer");
        loop {
            match self.0.lock().unwrap().clone() {
                Dns::Has(last) => {
                    return Ok(last.iter().map(|last| SocketAddr::from(([10, 0, 0, *last], port))).collect());
                }
                Dns::Fails => return Err(Error::unavailable("SERVFAIL")),
                Dns::IsSilent => (),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// A machine that publishes, unless it hangs; a machine that hangs on ranges may be well by its own word.
#[derive(Default)]
pub struct Machine {
    calls: AtomicUsize,
    pub hangs: AtomicBool,
    pub is_dead: AtomicBool,
}

#[async_trait]
impl RangePublisher for Machine {
    async fn publish(&self, _: &RunId, _: &Range, _: Sampling) -> Result<String> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        if self.hangs.load(Ordering::Relaxed) || self.is_dead.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
        Ok("machine".into())
    }

    async fn depth(&self, _: &RunId) -> Result<Depth> {
        Ok(Depth::default())
    }
}

#[async_trait]
impl HealthCheck for Machine {
    async fn check(&self) -> Result<()> {
        if self.is_dead.load(Ordering::Relaxed) {
            tokio::time::sleep(Duration::from_millis(800)).await;
            return Err(Error::unavailable("no answer to a health check"));
        }
        Ok(())
    }
}

/// Producers of some entries, the DNS that they ask, and all machines that they ever connected to, by address.
pub struct Stage {
    pub producers: Producers,
    pub dns: Arc<Names>,
    pub machines: Arc<Mutex<BTreeMap<String, Arc<Machine>>>>,
    shutdown: Shutdown,
}

pub fn stage(entries: &[&str], dns: Dns) -> Stage {
    let (dns, machines) = (Arc::new(Names(Mutex::new(dns))), Arc::<Mutex<BTreeMap<_, Arc<Machine>>>>::default());
    let entries = entries.iter().map(|entry| ProducerEntry::parse(entry).unwrap()).collect();
    let known = machines.clone();
    let connect = move |address: &ProducerAddress| {
        let machine = known.lock().unwrap().entry(address.address.clone()).or_default().clone();
        Ok(Ends { publisher: machine.clone(), health: machine })
    };
    let producers = Producers::at(dns.clone(), entries, Box::new(connect)).unwrap();
    Stage { producers, dns, machines, shutdown: Shutdown::new() }
}

impl Stage {
    pub fn machine(&self, last: u8) -> Arc<Machine> {
        self.machines.lock().unwrap().entry(format!("http://10.0.0.{last}:50052")).or_default().clone()
    }

    pub fn calls(&self, last: u8) -> usize {
        self.machine(last).calls.load(Ordering::Relaxed)
    }

    pub async fn publish(&self) -> Result<String> {
        let range = Range { first: 0, count: 1, scheduled_at_ms: 0 };
        self.producers
            .publish(&RunId::parse("some-run").unwrap(), &range, Ask::Range { bytes: 300 }, Sampling::NONE)
            .await
    }

    pub async fn publish_all(&self, count: usize) {
        for _ in 0..count {
            self.publish().await.unwrap();
        }
    }

    pub fn addresses(&self) -> Vec<String> {
        self.producers.members().iter().map(|member| member.name.clone()).collect()
    }

    /// Plays `story` beside the probes.
    pub async fn play(&self, story: impl Future<Output = ()>) {
        let both = async {
            tokio::select! {
                biased;
                () = story => (),
                () = self.producers.probe(self.shutdown.clone()) => unreachable!("nobody stops them"),
            }
        };
        tokio::time::timeout(ENDLESS, both).await.expect("nothing hangs for ever");
    }
}

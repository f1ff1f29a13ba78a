//! Producers that come and go: the members follow the addresses that are known, and each member is asked for its health.

use std::sync::Arc;

use futures::future::join_all;
use futures::stream::{FuturesUnordered, StreamExt as _};
use paceline_core::Result;
use paceline_runtime::lifecycle::Shutdown;

use super::address::ProducerAddress;
use super::entry::ProducerEntry;
use super::pool::{Members, Producers};
use super::pooled::PooledProducer;

impl Producers {
    /// Follows the names and asks every remote producer for its health until `shutdown`.
    pub async fn probe(&self, shutdown: Shutdown) {
        let names: Vec<_> = self.names().cloned().collect();
        let following = join_all(names.iter().map(|name| name.follow(&*self.resolver, || self.addresses_changed())));
        shutdown.or(async { tokio::join!(following, self.probe_members()) }).await;
    }

    /// An address that no producer can be made of leaves everything as it was.
    fn addresses_changed(&self) {
        if let Err(error) = self.follow_addresses() {
            tracing::error!(%error, "the producers stay as they were");
        }
    }

    /// Asks each member for its health, from its coming to the end of the calls in flight to it. Never returns.
    async fn probe_members(&self) {
        let (mut probed, mut probing): (Vec<Arc<PooledProducer>>, _) = (Vec::new(), FuturesUnordered::new());
        loop {
            for member in &*self.members() {
                if !is_among(&probed, member) {
                    let member = member.clone();
                    probed.push(member.clone());
                    probing.push(async move {
                        member.probe().await;
                        member
                    });
                }
            }
            tokio::select! {
                biased;
                Some(gone) = probing.next() => probed.retain(|known| !Arc::ptr_eq(known, &gone)),
                () = self.moved.notified() => (),
            }
        }
    }

    /// Makes the members those of the addresses that are known now: a member that stays, or comes back soon, keeps its breaker and its
    /// window; a member that is gone gets no more ranges.
    pub(super) fn follow_addresses(&self) -> Result<()> {
        let mut members = self.members.write().expect("no code panics while it holds the list of producers");
        let mut retired = self.retired.lock().expect("no code panics while it holds the list of producers");
        retired.retain(|member| !member.is_over());
        let next = self.members_now(members.iter().chain(&*retired))?;
        retire(&members, &next, &mut retired);
        take_back(&next, &mut retired);
        *members = next.into();
        drop(members);
        self.moved.notify_one();
        self.changed.notify_waiters();
        Ok(())
    }

    /// A member for each address, once: a known one, or a new one.
    fn members_now<'a>(
        &self,
        known: impl Iterator<Item = &'a Arc<PooledProducer>> + Clone,
    ) -> Result<Vec<Arc<PooledProducer>>> {
        let mut next: Vec<Arc<PooledProducer>> = Vec::new();
        for address in self.entries.iter().flat_map(ProducerEntry::addresses) {
            let is_same = |member: &&Arc<PooledProducer>| member.name == address.address;
            if next.iter().any(|member| is_same(&member)) {
                continue;
            }
            next.push(match known.clone().find(is_same) {
                Some(member) => member.clone(),
                None => Arc::new(self.connect(&address)?),
            });
        }
        Ok(next)
    }

    fn connect(&self, address: &ProducerAddress) -> Result<PooledProducer> {
        let ends = (self.connect)(address)?;
        tracing::info!(producer = address.address, name = address.origin, "producer is known");
        Ok(PooledProducer::remote(&address.address, ends, self.changed.clone()))
    }
}

fn retire(members: &Members, next: &[Arc<PooledProducer>], retired: &mut Vec<Arc<PooledProducer>>) {
    for gone in members.iter().filter(|member| !is_among(next, member)) {
        tracing::info!(producer = gone.name, "producer is gone: no name has its address any more");
        gone.retire();
        retired.push(gone.clone());
    }
}

fn take_back(next: &[Arc<PooledProducer>], retired: &mut Vec<Arc<PooledProducer>>) {
    for back in retired.extract_if(.., |member| is_among(next, member)) {
        tracing::info!(producer = back.name, "producer is back in DNS");
        back.take_back();
    }
}

fn is_among(members: &[Arc<PooledProducer>], one: &Arc<PooledProducer>) -> bool {
    members.iter().any(|member| Arc::ptr_eq(member, one))
}

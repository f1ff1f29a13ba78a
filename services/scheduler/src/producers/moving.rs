//! Producers that come and go: the members follow the places that are known, and each is asked for its health for as long as it is one.

use std::sync::Arc;

use futures::future::join_all;
use futures::stream::{FuturesUnordered, StreamExt as _};
use paceline_core::Result;
use paceline_runtime::lifecycle::Shutdown;

use super::Producers;
use crate::discovery::Entry;
use crate::member::Member;

impl Producers {
    /// Follows the names and asks every remote producer for its health until `shutdown`.
    pub async fn probe(&self, shutdown: Shutdown) {
        let names: Vec<_> = self.names().cloned().collect();
        let following = join_all(names.iter().map(|name| name.follow(&*self.resolver, || self.places_changed())));
        shutdown.or(async { tokio::join!(following, self.probe_members()) }).await;
    }

    /// An address that no producer can be made of leaves everything as it was.
    fn places_changed(&self) {
        if let Err(error) = self.follow_places() {
            tracing::error!(%error, "the producers stay as they were");
        }
    }

    /// For ever: each member, from its coming to the end of what is on its way to it.
    async fn probe_members(&self) {
        let (mut probed, mut probing): (Vec<Arc<Member>>, _) = (Vec::new(), FuturesUnordered::new());
        loop {
            for member in &*self.members() {
                if probed.iter().all(|known| !Arc::ptr_eq(known, member)) {
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

    /// Makes the members those of the places that are known now: who stays, or comes back soon, keeps breaker and window; who is gone
    /// gets no more ranges.
    pub(super) fn follow_places(&self) -> Result<()> {
        let mut members = self.members.write().expect("no code panics while it holds the list of producers");
        let mut retired = self.retired.lock().expect("no code panics while it holds the list of producers");
        retired.retain(|member| !member.is_over());
        let mut next: Vec<Arc<Member>> = Vec::new();
        for place in self.entries.iter().flat_map(Entry::places) {
            let is_same = |member: &&Arc<Member>| member.name == place.address;
            if next.iter().any(|member| is_same(&member)) {
                continue;
            }
            if let Some(known) = members.iter().chain(&*retired).find(is_same) {
                next.push(known.clone());
                continue;
            }
            let (publisher, health) = (self.connect)(&place)?;
            tracing::info!(producer = place.address, name = place.origin, "producer is known");
            next.push(Arc::new(Member::new(&place.address, publisher, Some(health), self.changed.clone())));
        }
        for gone in members.iter().filter(|member| next.iter().all(|other| !Arc::ptr_eq(other, member))) {
            tracing::info!(producer = gone.name, "producer is gone: no name has its address any more");
            gone.retire();
            retired.push(gone.clone());
        }
        let is_member = |member: &Arc<Member>| next.iter().any(|other| Arc::ptr_eq(other, member));
        for back in retired.extract_if(.., |member| is_member(member)) {
            tracing::info!(producer = back.name, "producer is back in DNS");
            back.take_back();
        }
        *members = next.into();
        drop(members);
        self.moved.notify_one();
        self.changed.notify_waiters();
        Ok(())
    }
}

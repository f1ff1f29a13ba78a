//! A consumer's side of its connection: acks are gathered and travel in order, and they are lost only together with their consumer.

use std::sync::{Arc, Mutex};

use crate::models::broker::{How, Name};
use crate::net::{Link, sleep_us};

/// A consumer's side of its connection.
pub struct Channel {
    pub link: Link,
    pub name: Name,
    pub number: u64,
    /// Settled by the process, not yet seen by the broker.
    pub acks: Mutex<Vec<(u64, How)>>,
}

/// Ends the consumer when its stream is dropped, sooner or later: the broker notices a dead process by its connection.
pub struct Membership(pub Arc<Channel>);

impl Drop for Membership {
    fn drop(&mut self) {
        const NOTICED_WITHIN_US: u64 = 500_000;
        let channel = self.0.clone();
        let link = channel.link.clone();
        let is_dead = link.process.crash().is_triggered();
        if !is_dead {
            channel.end();
            return;
        }
        let noticed_us = link.world.state().random.u64(0..NOTICED_WITHIN_US);
        link.world.tasks().spawn(async move {
            sleep_us(noticed_us).await;
            channel.end();
        });
    }
}

impl Channel {
    pub fn ack(self: &Arc<Self>, entry: u64, how: How) {
        let mut acks = self.acks();
        acks.push((entry, how));
        if acks.len() > 1 {
            return;
        }
        drop(acks);
        let channel = self.clone();
        let delay_us = self.link.world.state().random.u64(0..2_000);
        self.link.world.tasks().spawn(async move {
            sleep_us(delay_us).await;
            // The ones of a dead process may have been sent, or not.
            if channel.link.process.crash().is_triggered() && channel.link.world.state().random.bool() {
                channel.acks().clear();
                return;
            }
            channel.link.reachable().await;
            channel.flush();
        });
    }

    /// Everything that is gathered reaches the broker.
    pub fn flush(&self) {
        let acks = std::mem::take(&mut *self.acks());
        if acks.is_empty() {
            return;
        }
        let process = &self.link.process;
        self.link.world.step(self.link.world.at(process.number()), |state| {
            let count = acks.len();
            let mut settled = Vec::with_capacity(count);
            for (entry, how) in acks {
                if state.settle((&self.name, self.number, entry), how) {
                    settled.push(entry);
                }
            }
            ((), format!("{} broker.ack consumer {} deliveries {settled:?} of {count}", process.name(), self.number))
        });
    }

    fn end(&self) {
        self.flush_at_end();
        let process = &self.link.process;
        self.link.world.step(self.link.world.at(process.number()), |state| {
            let was_there = state.broker.end_consumer(&self.name, self.number);
            ((), format!("{} broker.end consumer {}: {was_there}", process.name(), self.number))
        });
    }

    /// A consumer that is dropped in a living process has sent its acks before.
    fn flush_at_end(&self) {
        let is_dead = self.link.process.crash().is_triggered();
        let is_cut = self.link.world.state().storm.is_cut(self.link.process.place(), self.link.service);
        if !is_dead && !is_cut {
            self.flush();
        }
    }

    fn acks(&self) -> std::sync::MutexGuard<'_, Vec<(u64, How)>> {
        self.acks.lock().expect("no code panics while it holds the acks")
    }
}

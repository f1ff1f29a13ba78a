//! The namespace that a benchmark makes on every service, and its folders of embedded adapters. All of it goes when the benchmark ends, by
//! itself, by an error or by one signal; [`leftover`] names whatever cannot be removed, with a way to remove it by hand.
//!
//! It may use the adapters' removal and the settings, and knows no run.

mod folder;
mod leftover;
mod removal;
mod settings;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use paceline_core::Error;
use paceline_core::clock::{SharedClock, SystemClock};
use paceline_core::ids::RunId;
use paceline_runtime::settings::Settings;

use folder::Folder;
use leftover::Leftover;
use settings::own_settings;

/// Characters of a ULID's random end: no two benchmarks meet.
const RANDOM_CHARS: usize = 12;
/// The most removals: the last writes of a role that was stopped may arrive after the first one.
const ROUNDS_MAX: u32 = 3;
const ROUND_PAUSE: Duration = Duration::from_millis(500);
/// The pause before the first removal: RabbitMQ 3.10 loses its dead-lettering, and with it every quorum queue, when a queue is deleted
/// within milliseconds of its declaration.
const SETTLE_PAUSE: Duration = Duration::from_secs(2);

pub struct BenchNamespace {
    /// The user's, but for the namespace, the group and the queues.
    pub settings: Settings,
    /// The folders of embedded adapters.
    folders: Vec<Folder>,
    /// Set once there may be something of this namespace on the services.
    has_begun: AtomicBool,
    clock: SharedClock,
}

impl BenchNamespace {
    /// A namespace with a name that nobody had before. Nothing is made on the services yet.
    pub fn new(user: &Settings) -> Self {
        let clock = SystemClock::shared();
        let id = RunId::generate(clock.wall_ms()).to_string();
        let namespace = format!("bench-{}", &id[id.len() - RANDOM_CHARS..]);
        let (settings, folders) = own_settings(user, &namespace);
        let folders = folders.into_iter().map(Folder::new).collect();
        Self { settings, folders, has_begun: AtomicBool::new(false), clock }
    }

    /// To be called before the first thing is made on a service.
    pub fn begin(&self) {
        self.has_begun.store(true, Ordering::Relaxed);
    }

    pub fn has_begun(&self) -> bool {
        self.has_begun.load(Ordering::Relaxed)
    }

    /// Every role must be in this process.
    pub fn is_embedded(&self) -> bool {
        !self.folders.is_empty()
    }

    /// All of it by name, as long as it is there.
    pub fn leftovers(&self) -> Vec<Leftover> {
        let services = leftover::on_services(&self.settings).into_iter().flatten();
        services.chain(self.folders.iter().map(Folder::leftover)).collect()
    }

    /// Removes all of it; answers each thing that is left, and why. `is_quiet`: the roles had nothing on its way when they ended.
    pub async fn remove(&self, is_quiet: bool) -> Vec<(Leftover, Error)> {
        if !is_quiet {
            tokio::time::sleep(SETTLE_PAUSE).await;
        }
        let mut round = 0;
        loop {
            round += 1;
            let (removed, failures) = self.remove_once().await;
            let is_clean = removed == 0 && failures.is_empty();
            if is_clean || round == ROUNDS_MAX {
                return failures;
            }
            if !is_quiet || !failures.is_empty() {
                tokio::time::sleep(ROUND_PAUSE).await;
            }
        }
    }

    /// Answers how much was there and is gone now, as far as it is counted, and the things that could not be removed.
    async fn remove_once(&self) -> (u64, Vec<(Leftover, Error)>) {
        let services = if self.has_begun() {
            removal::remove_from_services(&self.settings, self.clock.clone()).await
        } else {
            Vec::new()
        };
        let folders = self.folders.iter().map(|folder| (folder.leftover(), folder.remove()));
        let (mut removed, mut failures) = (0, Vec::new());
        for (leftover, result) in services.into_iter().chain(folders) {
            match result {
                Ok(count) => removed += count,
                Err(error) => failures.push((leftover, error)),
            }
        }
        (removed, failures)
    }
}

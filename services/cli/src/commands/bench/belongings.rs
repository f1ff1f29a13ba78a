//! What a benchmark makes: a namespace on every service, and folders of embedded adapters. All of it goes when the benchmark
//! ends, by itself, by an error or by one signal; what cannot be removed is named, with a way to remove it by hand.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use paceline_adapters::elasticsearch::{ElasticConfig, ElasticSink};
use paceline_adapters::rabbitmq::{RabbitBroker, RabbitConfig};
use paceline_adapters::redis::{RedisConfig, RedisLedger};
use paceline_core::clock::{SharedClock, SystemClock};
use paceline_core::error::codes;
use paceline_core::ids::{DEFAULT_GROUP, DEFAULT_QUEUE, RunId};
use paceline_core::{Error, Result};
use paceline_runtime::settings::Settings;

use super::left::{self, Left};
use crate::connections::is_embedded;

const EMBEDDED: &str = "embedded:";
/// Characters of a ULID's random end: no two benchmarks meet.
const RANDOM_CHARS: usize = 12;
/// How long one service may take; RabbitMQ needs 5 s for a queue without a leader.
const REMOVAL_MAX: Duration = Duration::from_secs(30);
/// How often is looked again: what a role that was stopped had on its way may arrive after the first time.
const ROUNDS_MAX: u32 = 3;
const ROUND_PAUSE: Duration = Duration::from_millis(500);
/// Before the first time: RabbitMQ 3.10 loses its dead-lettering, and with it every quorum queue, when a queue is deleted
/// within milliseconds of its declaration.
const SETTLE_PAUSE: Duration = Duration::from_secs(2);

pub struct Belongings {
    /// The user's, but for the namespace, the group and the queues.
    pub settings: Settings,
    /// Of embedded adapters.
    folders: Vec<Folder>,
    /// From then on there may be something on the services.
    has_begun: AtomicBool,
    clock: SharedClock,
}

/// A folder of our own in the user's.
struct Folder {
    path: PathBuf,
    /// The user's was there before, so it stays, empty or not.
    was_around: bool,
}

impl Belongings {
    /// Under a name that nobody had before. Nothing is made yet.
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
    pub fn all(&self) -> Vec<Left> {
        let services = left::on_services(&self.settings).into_iter().flatten();
        services.chain(self.folders.iter().map(Folder::left)).collect()
    }

    /// Removes all of it; answers what is left, and why. `is_quiet`: the roles had nothing on its way when they ended.
    pub async fn remove(&self, is_quiet: bool) -> Vec<(Left, Error)> {
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

    /// What was there and is gone now, as far as it is counted, and what could not be removed.
    async fn remove_once(&self) -> (u64, Vec<(Left, Error)>) {
        let services = if self.has_begun() { self.remove_from_services().await } else { Vec::new() };
        let folders = self.folders.iter().map(|folder| (folder.left(), folder.remove()));
        let (mut removed, mut failures) = (0, Vec::new());
        for (left, result) in services.into_iter().chain(folders) {
            match result {
                Ok(count) => removed += count,
                Err(error) => failures.push((left, error)),
            }
        }
        (removed, failures)
    }

    async fn remove_from_services(&self) -> Vec<(Left, Result<u64>)> {
        let (broker, sink, ledger) = tokio::join!(
            in_time(self.remove_queues()),
            in_time(self.remove_documents()),
            in_time(self.remove_counts())
        );
        let services = left::on_services(&self.settings).into_iter().zip([broker, sink, ledger]);
        services.filter_map(|(left, result)| Some((left?, result))).collect()
    }

    async fn remove_queues(&self) -> Result<u64> {
        let Settings { broker_url, namespace, ca_file, .. } = &self.settings;
        if is_embedded(broker_url) {
            return Ok(0);
        }
        let config = RabbitConfig { url: broker_url.clone(), namespace: namespace.clone(), ca_file: ca_file.clone() };
        let broker = RabbitBroker::connect(config, self.clock.clone()).await?;
        broker.remove(DEFAULT_QUEUE, DEFAULT_GROUP).await?;
        // RabbitMQ does not say whether there were any.
        Ok(0)
    }

    async fn remove_documents(&self) -> Result<u64> {
        let Settings { sink_url, namespace, ca_file, .. } = &self.settings;
        if is_embedded(sink_url) {
            return Ok(0);
        }
        let payloads = self.settings.sink.payloads()?;
        let config =
            ElasticConfig { url: sink_url.clone(), namespace: namespace.clone(), ca_file: ca_file.clone(), payloads };
        ElasticSink::connect(config, self.clock.clone())?.remove_namespace().await
    }

    async fn remove_counts(&self) -> Result<u64> {
        let Settings { ledger_url, namespace, ca_file, .. } = &self.settings;
        if is_embedded(ledger_url) {
            return Ok(0);
        }
        let config = RedisConfig { url: ledger_url.clone(), namespace: namespace.clone(), ca_file: ca_file.clone() };
        RedisLedger::connect(config).await?.remove_namespace(&[DEFAULT_GROUP.to_owned()]).await
    }
}

impl Folder {
    fn new(path: PathBuf) -> Self {
        Self { was_around: path.parent().is_some_and(Path::exists), path }
    }

    fn left(&self) -> Left {
        left::folder(&self.path)
    }

    /// The folder around it goes too if we made it and nobody has put anything else in it.
    fn remove(&self) -> Result<u64> {
        let removed = match std::fs::remove_dir_all(&self.path) {
            Ok(()) => 1,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => 0,
            Err(error) => return Err(Error::internal(error.to_string()).coded(codes::BENCH_BROKE)),
        };
        if !self.was_around {
            _ = self.path.parent().map(std::fs::remove_dir);
        }
        Ok(removed)
    }
}

async fn in_time(removal: impl Future<Output = Result<u64>>) -> Result<u64> {
    let seconds = REMOVAL_MAX.as_secs();
    tokio::time::timeout(REMOVAL_MAX, removal).await.unwrap_or_else(|_| {
        Err(Error::unavailable(format!("no answer within {seconds} s")).coded(codes::BENCH_TOO_SLOW))
    })
}

/// The settings with a namespace of our own; embedded folders get a folder in them, which is answered too.
fn own_settings(settings: &Settings, namespace: &str) -> (Settings, Vec<PathBuf>) {
    let defaults = Settings::default();
    let mut own = Settings {
        namespace: namespace.to_owned(),
        group: DEFAULT_GROUP.into(),
        queues: defaults.queues,
        ca_file: settings.ca_file.as_ref().map(|file| std::path::absolute(file).unwrap_or_else(|_| file.clone())),
        ..settings.clone()
    };
    let mut folders = Vec::new();
    for url in [&mut own.broker_url, &mut own.sink_url, &mut own.ledger_url] {
        let Some(folder) = url.strip_prefix(EMBEDDED) else { continue };
        let folder = PathBuf::from(folder).join(namespace);
        *url = format!("{EMBEDDED}{}", folder.display());
        if !folders.contains(&folder) {
            folders.push(folder);
        }
    }
    (own, folders)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_the_users_is_in_the_own_settings() {
        let user = Settings {
            namespace: "mine".into(),
            group: "other".into(),
            ledger_url: "embedded:data".into(),
            ..Settings::default()
        };
        let own = Belongings::new(&user);
        assert!(!own.has_begun());
        let (settings, namespace) = (&own.settings, &own.settings.namespace);
        assert!(namespace.starts_with("bench-") && *namespace != Belongings::new(&user).settings.namespace);
        assert_eq!((settings.group.as_str(), &settings.broker_url), (DEFAULT_GROUP, &user.broker_url));
        assert_eq!(settings.ledger_url, format!("embedded:data/{namespace}"));
        let all = own.all();
        assert!(
            all.len() == 3 && all.iter().all(|left| left.what.contains(namespace) && left.by_hand.contains(namespace))
        );
        settings.check().unwrap();
    }

    #[test]
    fn one_folder_for_all_is_one_folder() {
        let url = || "embedded:data".to_owned();
        let user = Settings { broker_url: url(), sink_url: url(), ledger_url: url(), ..Settings::default() };
        assert_eq!(Belongings::new(&user).all().len(), 1);
    }

    #[tokio::test]
    async fn a_folder_goes_and_what_was_around_it_stays_if_it_holds_anything() {
        let around = tempfile::tempdir().unwrap();
        let url = || format!("embedded:{}/data", around.path().display());
        let user = Settings { broker_url: url(), sink_url: url(), ledger_url: url(), ..Settings::default() };
        let own = Belongings::new(&user);
        let (path, data) = (&own.folders[0].path, around.path().join("data"));
        std::fs::create_dir_all(path).unwrap();
        std::fs::write(path.join("broker.db"), "x").unwrap();
        assert!(own.remove(true).await.is_empty());
        assert!(around.path().exists() && !data.exists());

        std::fs::create_dir_all(path).unwrap();
        std::fs::write(data.join("another"), "x").unwrap();
        assert!(own.remove(true).await.is_empty());
        assert!(data.join("another").exists() && !path.exists());
    }

    #[tokio::test]
    async fn an_empty_folder_that_was_there_before_stays() {
        let around = tempfile::tempdir().unwrap();
        let ledger_url = format!("embedded:{}", around.path().display());
        let own = Belongings::new(&Settings { ledger_url, ..Settings::default() });
        std::fs::create_dir(&own.folders[0].path).unwrap();
        assert!(own.remove(true).await.is_empty());
        assert!(around.path().exists() && !own.folders[0].path.exists());
    }

    #[tokio::test]
    async fn what_cannot_be_removed_is_named() {
        let nobody = "127.0.0.1:9";
        let user = Settings {
            broker_url: format!("amqp://{nobody}"),
            sink_url: format!("http://{nobody}"),
            ledger_url: format!("redis://{nobody}"),
            ..Settings::default()
        };
        let own = Belongings::new(&user);
        // As long as nothing was made there, nobody is told of it.
        assert!(own.remove(true).await.is_empty());
        own.begin();
        let left: Vec<Left> = own.remove(true).await.into_iter().map(|(left, _)| left).collect();
        assert_eq!(left, own.all());
    }
}

//! Where a benchmark plays: the settings' services under a namespace of its own, which is taken down afterwards.

use std::path::PathBuf;

use paceline_adapters::rabbitmq::{RabbitBroker, RabbitConfig};
use paceline_adapters::resolve::{self, Backends};
use paceline_core::clock::{SharedClock, SystemClock};
use paceline_core::ids::{DEFAULT_GROUP, DEFAULT_QUEUE, RunId};
use paceline_core::verify::{self, Options};
use paceline_core::{Error, Result};
use paceline_runtime::settings::Settings;

use crate::commands::Context;
use crate::commands::connections::{connections, is_embedded};
use crate::output::Output;

const EMBEDDED: &str = "embedded:";
/// Characters of a ULID's random end: no two benchmarks meet.
const RANDOM_CHARS: usize = 12;

pub struct Stage {
    /// The user's, but for the namespace, the group and the queues.
    pub settings: Settings,
    pub ports: Backends,
    pub clock: SharedClock,
    output: Output,
    /// Of embedded adapters; removed at the end.
    folders: Vec<PathBuf>,
}

impl Stage {
    /// Connects to every service; the error says which one is away.
    pub async fn open(context: &Context) -> Result<Self> {
        let clock = SystemClock::shared();
        let id = RunId::generate(clock.wall_ms()).to_string();
        let namespace = format!("bench-{}", &id[id.len() - RANDOM_CHARS..]);
        let (settings, folders) = own_settings(&context.settings, &namespace);
        let ports = resolve::connect(&connections(&settings), clock.clone()).await?;
        ports.sink.prepare().await?;
        let stage = Self { settings, ports, clock, output: context.output, folders };
        stage.talk(format!("measuring in namespace {namespace}"));
        Ok(stage)
    }

    /// Every role must be in this process.
    pub fn is_embedded(&self) -> bool {
        !self.folders.is_empty()
    }

    pub fn talk(&self, text: impl std::fmt::Display) {
        self.output.talk(text);
    }

    /// Whether the run is proved; what is wrong is said.
    pub async fn verify(&self, run: &RunId) -> Result<bool> {
        self.talk("comparing ledger and sink");
        let options = Options { group: self.settings.group.clone(), strict: false };
        let verification = verify::verify(&*self.ports.ledger, &*self.ports.sink, run, &options).await?;
        verification.problems.iter().for_each(|problem| self.talk(format!("✗ {problem}")));
        Ok(verification.ok)
    }

    /// Removes what can be removed and says what stays.
    pub async fn close(self) {
        if let Err(error) = self.remove_queues().await {
            self.talk(format!("the queues of {} stay: {error}", self.settings.namespace));
        }
        let Self { settings, ports, output, folders, .. } = self;
        drop(ports);
        for folder in &folders {
            if let Err(error) = std::fs::remove_dir_all(folder) {
                output.talk(format!("cannot remove {}: {error}; remove it by hand", folder.display()));
            }
            // The folder around it is ours only if we made it, and then it is empty.
            folder.parent().map(std::fs::remove_dir);
        }
        left_behind(&settings).iter().for_each(|left| output.talk(left));
    }

    async fn remove_queues(&self) -> Result<()> {
        let Settings { broker_url, namespace, ca_file, .. } = &self.settings;
        if is_embedded(broker_url) {
            return Ok(());
        }
        let config = RabbitConfig { url: broker_url.clone(), namespace: namespace.clone(), ca_file: ca_file.clone() };
        let broker = RabbitBroker::connect(config, self.clock.clone()).await?;
        broker.remove(DEFAULT_QUEUE, DEFAULT_GROUP).await
    }
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

/// What no port can remove, and how a person can.
fn left_behind(settings: &Settings) -> Vec<String> {
    let namespace = &settings.namespace;
    let mut left = Vec::new();
    if !is_embedded(&settings.sink_url) {
        left.push(format!(
            "left in the sink: template {namespace} and indices {namespace}-jobs-* (delete both when you like)"
        ));
    }
    if !is_embedded(&settings.ledger_url) {
        left.push(format!(
            "left in the ledger: keys {namespace}:* (redis-cli --scan --pattern '{namespace}:*' | xargs redis-cli del)"
        ));
    }
    if !is_embedded(&settings.broker_url) {
        left.push(format!("left in the broker: exchange {namespace}, without queues"));
    }
    left
}

/// A wait that took too long, with what to do.
pub fn took_too_long(what: &str, seconds: u64) -> Error {
    Error::unavailable(format!(
        "{what} within {seconds} s; the log above says why, `paceline doctor` looks at the services"
    ))
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
        let (own, folders) = own_settings(&user, "bench-x");
        assert_eq!((own.namespace.as_str(), own.group.as_str()), ("bench-x", DEFAULT_GROUP));
        assert_eq!((own.ledger_url.as_str(), folders), ("embedded:data/bench-x", vec![PathBuf::from("data/bench-x")]));
        assert_eq!(own.broker_url, user.broker_url);
        assert_eq!(left_behind(&own).len(), 2);
        own.check().unwrap();
    }

    #[test]
    fn one_folder_for_all_is_one_folder() {
        let url = || "embedded:data".to_owned();
        let user = Settings { broker_url: url(), sink_url: url(), ledger_url: url(), ..Settings::default() };
        let (own, folders) = own_settings(&user, "bench-x");
        assert_eq!((folders.len(), left_behind(&own).len()), (1, 0));
    }
}

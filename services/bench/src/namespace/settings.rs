//! The settings of a benchmark: the user's, but for the namespace, the group, the queues and the embedded folders.

use std::path::PathBuf;

use paceline_core::connections::{embedded_folder, embedded_url};
use paceline_core::ids::DEFAULT_GROUP;
use paceline_runtime::settings::Settings;

/// The settings with a namespace of our own; embedded folders get a folder in them, which is answered too.
pub fn own_settings(settings: &Settings, namespace: &str) -> (Settings, Vec<PathBuf>) {
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
        let Some(folder) = embedded_folder(url) else { continue };
        let folder = folder.join(namespace);
        *url = embedded_url(&folder);
        if !folders.contains(&folder) {
            folders.push(folder);
        }
    }
    (own, folders)
}

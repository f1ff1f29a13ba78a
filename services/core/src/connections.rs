//! The URLs of the three services of a mesh, and the settings that their adapters share: read from the settings by whoever starts something,
//! and turned into ports by the adapters.

use std::path::{Path, PathBuf};

use crate::ports::sink::Payloads;

const EMBEDDED: &str = "embedded:";

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connections {
    pub broker_url: String,
    pub sink_url: String,
    pub ledger_url: String,
    /// Prefix of queues, indices and keys.
    pub namespace: String,
    /// Certificate authorities besides the system's, for amqps, https and rediss.
    pub ca_file: Option<PathBuf>,
    /// The way in which a sink that indexes documents treats their payloads.
    pub payloads: Payloads,
}

impl Connections {
    /// Everything embedded in `folder`.
    pub fn embedded(folder: &Path) -> Self {
        let url = embedded_url(folder);
        Self {
            broker_url: url.clone(),
            sink_url: url.clone(),
            ledger_url: url,
            namespace: "paceline".into(),
            ca_file: None,
            payloads: Payloads::default(),
        }
    }
}

/// The URL of an embedded service in `folder`.
pub fn embedded_url(folder: &Path) -> String {
    format!("{EMBEDDED}{}", folder.display())
}

/// The folder that the URL of an embedded service names; `None` for the URL of any other.
pub fn embedded_folder(url: &str) -> Option<&Path> {
    url.strip_prefix(EMBEDDED).map(Path::new)
}

pub fn is_embedded(url: &str) -> bool {
    embedded_folder(url).is_some()
}

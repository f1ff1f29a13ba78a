//! The ports from the settings, for the commands that need no scheduler.

use std::path::Path;

use paceline_adapters::resolve::Connections;
use paceline_core::error::codes;
use paceline_core::{Error, Result};
use paceline_runtime::settings::Settings;

const EMBEDDED: &str = "embedded:";

pub fn connections(settings: &Settings) -> Connections {
    Connections {
        broker_url: settings.broker_url.clone(),
        sink_url: settings.sink_url.clone(),
        ledger_url: settings.ledger_url.clone(),
        namespace: settings.namespace.clone(),
        ca_file: settings.ca_file.clone(),
        // Settings that are wrong were refused before.
        payloads: settings.sink.payloads().unwrap_or_default(),
    }
}

pub fn is_embedded(url: &str) -> bool {
    url.starts_with(EMBEDDED)
}

/// Nobody configured a service: what runs then is mostly `paceline dev`, whose data is its own.
pub fn are_default(settings: &Settings) -> bool {
    let default = Settings::default();
    let urls = |s: &Settings| [s.broker_url.clone(), s.sink_url.clone(), s.ledger_url.clone()];
    urls(settings) == urls(&default)
}

/// Looking must not make a folder: an embedded one that is not there is an error.
pub fn must_exist(url: &str) -> Result<()> {
    match url.strip_prefix(EMBEDDED) {
        Some(folder) if !Path::new(folder).is_dir() => {
            Err(Error::not_found(format!("no data folder at {folder}: the first `paceline dev` makes it"))
                .coded(codes::DATA_FOLDER_MISSING))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use paceline_core::ErrorKind;

    #[test]
    fn one_configured_service_is_a_configuration() {
        assert!(are_default(&Settings::default()));
        assert!(!are_default(&Settings { ledger_url: "redis://elsewhere".into(), ..Settings::default() }));
    }

    #[test]
    fn a_missing_folder_is_not_made() {
        let parent = tempfile::tempdir().unwrap();
        let missing = parent.path().join("data");
        let error = must_exist(&format!("embedded:{}", missing.display())).unwrap_err();
        assert_eq!((error.kind, missing.exists()), (ErrorKind::NotFound, false));
        must_exist(&format!("embedded:{}", parent.path().display())).unwrap();
        must_exist("redis://anywhere").unwrap();
    }
}

//! Rules about the services that the settings name, for the commands that need no scheduler.

use paceline_core::connections::embedded_folder;
use paceline_core::error::codes;
use paceline_core::{Error, Result};
use paceline_runtime::settings::Settings;

/// Nobody configured a service: what runs then is mostly `paceline dev`, whose data is its own.
pub fn are_default(settings: &Settings) -> bool {
    let default = Settings::default();
    let urls = |s: &Settings| [s.broker_url.clone(), s.sink_url.clone(), s.ledger_url.clone()];
    urls(settings) == urls(&default)
}

/// Looking must not make a folder: an embedded one that is not there is an error.
pub fn must_exist(url: &str) -> Result<()> {
    match embedded_folder(url) {
        Some(folder) if !folder.is_dir() => {
            Err(Error::not_found(format!("no data folder at {}: the first `paceline dev` makes it", folder.display()))
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

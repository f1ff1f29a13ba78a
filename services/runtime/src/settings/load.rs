//! Reads the settings: defaults, then the file, then the variables of the environment.

use std::path::Path;

use figment::Figment;
use figment::providers::{Env, Format, Serialized, Toml};
use paceline_core::error::codes;
use paceline_core::{Error, Result};

use super::values::Settings;

/// The file that is read when no `--config` names another.
pub const DEFAULT_FILE: &str = "paceline.toml";

/// Variables with our prefix that mean something else: the file's own name, what only the file can say, and what the local
/// stack's scripts use.
pub(super) const NOT_SETTINGS: [&str; 20] = [
    "config",
    "queues",
    "answers_seconds_max",
    "binary",
    "cache_dir",
    "debian_mirror",
    "elasticsearch_auth",
    "elasticsearch_password",
    "elasticsearch_url",
    "elasticsearch_user",
    "es_heap",
    "image",
    "jaeger_url",
    "prometheus_url",
    "rabbitmq_management_url",
    "scrape_interval",
    "stack_rabbitmq",
    "stack_redis_ports",
    "start_seconds_max",
    "tempo_url",
];

impl Settings {
    /// Reads the file and the environment, and checks everything. A named file must exist, the default one may be missing.
    ///
    /// Errors: NOT_FOUND for a named file that is not there; INVALID_ARGUMENT with a field for each mistake.
    pub fn load(file: Option<&Path>) -> Result<Self> {
        if let Some(missing) = file.filter(|file| !file.is_file()) {
            return Err(Error::not_found(format!("no configuration file at {}", missing.display()))
                .coded(codes::SETTINGS_FILE_MISSING));
        }
        let path = file.unwrap_or(Path::new(DEFAULT_FILE));
        let defaults = Figment::from(Serialized::defaults(Self::default()));
        let with_file = if path.is_file() { defaults.merge(Toml::file_exact(path)) } else { defaults };
        let environment = Env::prefixed("PACELINE_").ignore(&NOT_SETTINGS);
        let layers = with_file.merge(environment.map(|name| key(name.as_str()).into()));
        let settings: Self = layers.extract().map_err(|errors| {
            let all = errors.into_iter().map(|e| e.to_string()).collect::<Vec<_>>().join("; ");
            Error::invalid_field("configuration", format!("{all} (from {}, or a PACELINE_ variable)", path.display()))
                .coded(codes::SETTINGS_INVALID)
        })?;
        settings.check()?;
        Ok(settings)
    }
}

/// The key of a variable without its prefix: `TRACES_PER_SECOND` is `per_second` of `[traces]`. A dot is a table in the file.
pub(super) fn key(variable: &str) -> String {
    let name = variable.to_ascii_lowercase();
    for table in ["sink", "traces", "metrics"] {
        if let Some(key) = name.strip_prefix(table).and_then(|rest| rest.strip_prefix('_'))
            && key != "url"
        {
            return format!("{table}.{key}");
        }
    }
    name
}

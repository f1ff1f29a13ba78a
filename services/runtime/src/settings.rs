//! Settings of the process: defaults, then `paceline.toml`, then `PACELINE_…` variables; flags come last, in the CLI.
//!
//! Every key is the same in the file and, in capitals with the prefix, in the environment, where `payload` of `[sink]` is
//! `PACELINE_SINK_PAYLOAD`. The queues are in the file alone.

mod secrets;
mod text;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use figment::Figment;
use figment::providers::{Env, Format, Serialized, Toml};
use paceline_core::error::Violations;
use paceline_core::ids::{self, DEFAULT_GROUP, DEFAULT_QUEUE};
use paceline_core::nodes::{node_urls, wrong_nodes};
use paceline_core::policy::Policy;
use paceline_core::ports::sink::Payloads;
use paceline_core::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::admin::AdminAt;
use crate::telemetry::LogFormat;
use crate::telemetry::metrics::push::Push;
use crate::telemetry::otlp::Protocol;
use crate::telemetry::traces::Choice;

/// Read when no `--config` names another.
pub const DEFAULT_FILE: &str = "paceline.toml";

/// Variables with our prefix that mean something else: the file's own name, what only the file can say, and what the local
/// stack's scripts use.
const NOT_SETTINGS: [&str; 20] = [
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

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// `amqp://…`, `amqps://…` or `embedded:<folder>`.
    pub broker_url: String,
    /// `http://…`, `https://…` or `embedded:<folder>`.
    pub sink_url: String,
    /// `redis://…`, `rediss://…` or `embedded:<folder>`.
    pub ledger_url: String,
    /// PEM file with the certificate authorities of amqps, https and rediss.
    pub ca_file: Option<PathBuf>,
    /// Prefix of queues, indices and keys: two namespaces share nothing.
    #[serde(deserialize_with = "text::plain")]
    pub namespace: String,
    /// Where the CLI finds the scheduler.
    pub server: String,
    /// Where the scheduler finds producers, `http://host:port`, separated by commas.
    pub producers: String,
    /// Where a role's admin port is: `HOST:PORT`, a `HOST` with the role's own port, or `off`. Without it: loopback.
    #[serde(deserialize_with = "text::optional")]
    pub admin: Option<String>,
    /// Secret for binds beyond loopback, and for calls to them.
    #[serde(deserialize_with = "text::secret")]
    pub token: Option<String>,
    pub sink: SinkSettings,
    /// Consumer group: of workers, what they consume for; of schedulers, what the runs that they start are made for.
    #[serde(deserialize_with = "text::plain")]
    pub group: String,
    /// The queues that exist, each with its policy.
    pub queues: BTreeMap<String, Policy>,
    /// Ready jobs of a queue above which schedulers hold back.
    pub high_water: u64,
    pub traces: TraceSettings,
    pub metrics: MetricSettings,
    /// Filter in the syntax of `RUST_LOG`.
    pub log: String,
    /// `auto`: text on a terminal, otherwise JSON.
    pub log_format: LogFormat,
}

/// `[sink]`: how documents are kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SinkSettings {
    /// `searchable` or `stored`; a text, so that a wrong one is named along with all other mistakes.
    #[serde(deserialize_with = "text::plain")]
    pub payload: String,
}

/// `[traces]`: what is recorded of the jobs' way, and where it goes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TraceSettings {
    /// The receiver of OTLP: a collector, Tempo, Jaeger. Without it nothing is recorded, but by `paceline dev`, in its folder.
    #[serde(deserialize_with = "text::optional")]
    pub endpoint: Option<String>,
    pub protocol: Protocol,
    /// Traces that all runs together record from their beginning; every retried, dead or slow job is traced besides.
    pub per_second: f64,
    /// From being due to its end, a job that takes longer is slow.
    pub slow_ms: u64,
    /// Where `paceline trace` asks: the query API of Jaeger or Tempo.
    #[serde(deserialize_with = "text::optional")]
    pub query_url: Option<String>,
}

/// `[metrics]`: where metrics are pushed to, besides being shown on the admin port.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MetricSettings {
    /// The receiver of OTLP. Without it nothing is pushed.
    #[serde(deserialize_with = "text::optional")]
    pub endpoint: Option<String>,
    pub protocol: Protocol,
    pub interval_seconds: u64,
}

impl Default for MetricSettings {
    fn default() -> Self {
        Self { endpoint: None, protocol: Protocol::default(), interval_seconds: 15 }
    }
}

impl MetricSettings {
    /// The receiver, if there is one, for the metrics of a process of this role and name.
    pub fn push(&self, who: (&str, &str)) -> Result<Option<Push>> {
        let interval = Duration::from_secs(self.interval_seconds);
        self.endpoint.as_ref().map(|endpoint| Push::new(endpoint, self.protocol, interval, who)).transpose()
    }
}

impl Default for TraceSettings {
    fn default() -> Self {
        let Choice { per_second, slow } = Choice::default();
        let slow_ms = u64::try_from(slow.as_millis()).expect("some seconds");
        Self { endpoint: None, protocol: Protocol::default(), per_second, slow_ms, query_url: None }
    }
}

impl TraceSettings {
    pub fn choice(&self) -> Choice {
        Choice { per_second: self.per_second, slow: Duration::from_millis(self.slow_ms) }
    }
}

impl Default for SinkSettings {
    fn default() -> Self {
        Self { payload: Payloads::default().name().into() }
    }
}

impl SinkSettings {
    pub fn payloads(&self) -> Result<Payloads> {
        Payloads::parse(&self.payload).ok_or_else(|| {
            let known = Payloads::ALL.map(|payloads| format!("{:?}", payloads.name())).join(" or ");
            Error::invalid_field("sink.payload", format!("must be {known}, not {:?}", self.payload))
        })
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            broker_url: "amqp://127.0.0.1:5672".into(),
            sink_url: "http://127.0.0.1:9200".into(),
            ledger_url: "redis://127.0.0.1:6379".into(),
            ca_file: None,
            namespace: "paceline".into(),
            server: "http://127.0.0.1:50051".into(),
            producers: "http://127.0.0.1:50052".into(),
            admin: None,
            token: None,
            sink: SinkSettings::default(),
            group: DEFAULT_GROUP.into(),
            queues: BTreeMap::from([(DEFAULT_QUEUE.into(), Policy::default())]),
            high_water: 1_000_000,
            traces: TraceSettings::default(),
            metrics: MetricSettings::default(),
            log: "info".into(),
            log_format: LogFormat::Auto,
        }
    }
}

impl Settings {
    /// Reads the file (a named one must exist, the default one may be missing) and the environment, and checks everything.
    pub fn load(file: Option<&Path>) -> Result<Self> {
        if let Some(missing) = file.filter(|file| !file.is_file()) {
            return Err(Error::not_found(format!("no configuration file at {}", missing.display())));
        }
        let path = file.unwrap_or(Path::new(DEFAULT_FILE));
        let defaults = Figment::from(Serialized::defaults(Self::default()));
        let with_file = if path.is_file() { defaults.merge(Toml::file_exact(path)) } else { defaults };
        let environment = Env::prefixed("PACELINE_").ignore(&NOT_SETTINGS);
        let layers = with_file.merge(environment.map(|name| key(name.as_str()).into()));
        let settings: Self = layers.extract().map_err(|errors| {
            let all = errors.into_iter().map(|e| e.to_string()).collect::<Vec<_>>().join("; ");
            Error::invalid_field("configuration", format!("{all} (from {}, or a PACELINE_ variable)", path.display()))
        })?;
        settings.check()?;
        Ok(settings)
    }

    /// Every mistake at once.
    pub fn check(&self) -> Result<()> {
        let mut violations = Violations::default();
        let mut url = |field: &str, value: &str, schemes: &[&str]| {
            let scheme = value.split_once(':').map_or("", |(scheme, _)| scheme);
            if !schemes.contains(&scheme) {
                violations.add(field, format!("must begin with one of {schemes:?}, not {scheme:?}"));
            } else if let Some(wrong) = wrong_nodes(value) {
                violations.add(field, wrong);
            } else if scheme != "embedded" && node_urls(value).iter().any(|node| url::Url::parse(node).is_err()) {
                violations.add(field, "is not a URL");
            } else if let Some(mistake) = secrets::mistake(value) {
                violations.add(field, mistake);
            }
        };
        url("broker_url", &self.broker_url, &["amqp", "amqps", "embedded"]);
        url("sink_url", &self.sink_url, &["http", "https", "embedded"]);
        url("ledger_url", &self.ledger_url, &["redis", "rediss", "redis+sentinel", "rediss+sentinel", "embedded"]);
        url("server", &self.server, &["http", "https"]);
        self.producer_addresses().iter().for_each(|address| url("producers", address, &["http", "https"]));
        if let Err(wrong) = self.admin_at() {
            violations.add("admin", wrong);
        }
        let names = [check_namespace(&self.namespace), ids::check_group("group", &self.group)];
        let queues = self.queues.keys().map(|queue| ids::check_queue("queues", queue));
        for wrong in names.into_iter().chain(queues).filter_map(Result::err).flat_map(|error| error.fields) {
            violations.add(wrong.field, wrong.description);
        }
        for (queue, policy) in &self.queues {
            if policy.attempts_max == 0 || policy.timeout_ms == 0 {
                violations.add(format!("queues.{queue}"), "attempts_max and timeout_ms must be at least 1");
            }
        }
        if let Err(wrong) = self.sink.payloads() {
            violations.add("sink.payload", wrong.fields[0].description.clone());
        }
        let addresses = [
            ("traces.endpoint", &self.traces.endpoint),
            ("traces.query_url", &self.traces.query_url),
            ("metrics.endpoint", &self.metrics.endpoint),
        ];
        for (field, url) in addresses {
            let is_http =
                |url: &String| url::Url::parse(url).is_ok_and(|url| ["http", "https"].contains(&url.scheme()));
            if let Some(url) = url.as_ref().filter(|url| !is_http(url)) {
                let scheme = url.split_once("://").map_or("none", |(scheme, _)| scheme);
                violations.add(field, format!("must be an http:// or https:// address, and its scheme is {scheme}"));
            }
        }
        if !(0.0..=1_000_000.0).contains(&self.traces.per_second) {
            violations.add("traces.per_second", "must be 0 to 1,000,000");
        }
        if !(1..=3_600).contains(&self.metrics.interval_seconds) {
            violations.add("metrics.interval_seconds", "must be 1 to 3,600");
        }
        if self.high_water == 0 {
            violations.add("high_water", "must be at least 1");
        }
        violations.check()
    }

    /// Where the admin port shall be, as the settings say it; the error says what is wrong with that.
    pub fn admin_at(&self) -> std::result::Result<AdminAt, String> {
        self.admin.as_deref().map_or(Ok(AdminAt::Default), str::parse)
    }

    pub fn producer_addresses(&self) -> Vec<String> {
        self.producers
            .split(',')
            .map(|address| address.trim().to_owned())
            .filter(|address| !address.is_empty())
            .collect()
    }
}

/// The key of a variable without its prefix: `TRACES_PER_SECOND` is `per_second` of `[traces]`. A dot is a table in the file.
fn key(variable: &str) -> String {
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

/// A namespace has no dots: with one it could share a queue with another, since a queue is `<namespace>.<queue>.<group>` to
/// the broker, and the queue's own name may have dots.
fn check_namespace(namespace: &str) -> Result<()> {
    ids::check_name("namespace", namespace)?;
    if namespace.contains('.') {
        return Err(Error::invalid_field("namespace", format!("{namespace:?} is not a namespace: no dots")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn defaults_are_valid_and_all_mistakes_come_at_once() {
        Settings::default().check().unwrap();
        let broken = Settings {
            broker_url: "http://x".into(),
            sink_url: "nonsense".into(),
            namespace: "No Good".into(),
            admin: Some("9464".into()),
            sink: SinkSettings { payload: "indexed".into() },
            metrics: MetricSettings {
                endpoint: Some("localhost:4317".into()),
                interval_seconds: 0,
                ..Default::default()
            },
            ..Settings::default()
        };
        let fields: Vec<_> = broken.check().unwrap_err().fields.into_iter().map(|v| v.field).collect();
        assert_eq!(
            fields,
            [
                "broker_url",
                "sink_url",
                "admin",
                "namespace",
                "sink.payload",
                "metrics.endpoint",
                "metrics.interval_seconds",
            ]
        );
    }

    #[test]
    fn an_empty_text_is_none_where_none_is_allowed() {
        let empty = "admin = \"\"\n[traces]\nendpoint = \"\"\nquery_url = \"\"\n[metrics]\nendpoint = \"\"";
        let read = Figment::from(Toml::string(empty)).extract::<Settings>().unwrap();
        assert_eq!(read, Settings::default());
        let token = Figment::from(Toml::string("token = \"\"")).extract::<Settings>().unwrap().token;
        assert_eq!(token, Some(String::new()), "an empty token is refused, not taken for none");
    }

    #[test]
    fn a_default_password_for_another_machine_is_named_with_all_mistakes() {
        let settings = |host: &str| Settings {
            broker_url: format!("amqp://guest:guest@{host}"),
            ledger_url: format!("redis://:changeme@{host}"),
            ..Settings::default()
        };
        settings("127.0.0.1").check().unwrap();
        let fields: Vec<_> = settings("far").check().unwrap_err().fields.into_iter().map(|v| v.field).collect();
        assert_eq!(fields, ["broker_url", "ledger_url"]);
    }

    #[test]
    fn a_variable_is_the_key_of_its_table() {
        for (variable, expected) in [
            ("SINK_URL", "sink_url"),
            ("SINK_PAYLOAD", "sink.payload"),
            ("TRACES_ENDPOINT", "traces.endpoint"),
            ("TRACES_PER_SECOND", "traces.per_second"),
            ("METRICS_INTERVAL_SECONDS", "metrics.interval_seconds"),
            ("HIGH_WATER", "high_water"),
        ] {
            assert_eq!(key(variable), expected);
        }
        let known = serde_json::to_value(Settings::default()).unwrap();
        for table in ["sink", "traces", "metrics"] {
            for name in known[table].as_object().unwrap().keys() {
                assert_eq!(key(&format!("{table}_{name}").to_uppercase()), format!("{table}.{name}"));
            }
        }
    }

    #[test]
    fn names_that_could_share_a_queue_are_refused_before_any_broker_is_asked() {
        let queues = ["default", "mail.out", "mail.retry"].map(|queue| (queue.to_owned(), Policy::default()));
        let broken = Settings {
            namespace: "paceline.x".into(),
            group: "dead".into(),
            queues: BTreeMap::from(queues),
            ..Settings::default()
        };
        let error = broken.check().unwrap_err();
        let fields: Vec<_> = error.fields.iter().map(|v| v.field.as_str()).collect();
        assert_eq!(fields, ["namespace", "group", "queues"]);
        assert!(error.message.contains("mail.retry"), "{error}");
    }

    /// Without its comments the example is the defaults, and with them it names every key.
    #[test]
    fn the_example_says_every_key_and_its_default() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../paceline.example.toml");
        let example = std::fs::read_to_string(file).unwrap();
        let read = |text: &str| Figment::from(Toml::string(text));
        assert_eq!(read(&example).extract::<Settings>().unwrap(), Settings::default());

        let is_key = |name: &str| name.chars().all(|c| c.is_ascii_lowercase() || c == '_');
        let said = |line: &&str| line.split_once(" = ").is_some_and(|(name, _)| is_key(name));
        let lines = example.lines().map(|line| line.strip_prefix("# ").filter(said).unwrap_or(line));
        let named: serde_json::Value = read(&lines.collect::<Vec<_>>().join("\n")).extract().unwrap();
        let settings = serde_json::to_value(Settings::default()).unwrap();
        for table in ["", "/sink", "/traces", "/metrics", "/queues/default"] {
            let keys = |of: &serde_json::Value| {
                let table = of.pointer(table).and_then(|table| table.as_object()).unwrap();
                table.keys().cloned().collect::<BTreeSet<_>>()
            };
            assert_eq!(keys(&named), keys(&settings), "{table}");
        }
    }

    /// Else a shell that has run the stack's scripts could start no role.
    #[test]
    fn no_variable_of_the_local_stack_is_taken_for_a_setting() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../infra/local");
        let scripts = std::fs::read_dir(folder.join("lib")).unwrap().map(|entry| entry.unwrap().path());
        let sources = folder.join("../../grafana/provisioning/datasources/paceline.yaml");
        let text: String = scripts
            .chain(["stack", "test", "observe", "dashboards"].map(|script| folder.join(script)))
            .chain([sources])
            .map(|file| std::fs::read_to_string(file).unwrap())
            .collect();
        let name = |rest: &str| rest.split(|c: char| !c.is_ascii_uppercase() && c != '_').next().map(str::to_lowercase);
        let settings = serde_json::to_value(Settings::default()).unwrap();
        // The mark of a service's process is in no shell, and `PACELINE_@` stands for all of them.
        let others = ["stack_process", ""];
        for name in text.split("PACELINE_").skip(1).filter_map(name) {
            let place = format!("/{}", key(&name).replace('.', "/"));
            let is_known = settings.pointer(&place).is_some() || NOT_SETTINGS.contains(&name.as_str());
            assert!(is_known || others.contains(&name.as_str()), "{name}");
        }
    }

    #[test]
    fn a_file_is_read_and_an_unknown_key_is_named() {
        let file = std::env::temp_dir().join(format!("paceline-settings-{}.toml", std::process::id()));
        std::fs::write(
            &file,
            "namespace = \"mine\"\n[sink]\npayload = \"stored\"\n[queues.payments]\nattempts_max = 3\n",
        )
        .unwrap();
        let settings = Settings::load(Some(&file)).unwrap();
        assert_eq!((settings.namespace.as_str(), settings.queues["payments"].attempts_max), ("mine", 3));
        assert_eq!(settings.sink.payloads().unwrap(), Payloads::Stored);
        assert_eq!(settings.queues["payments"].timeout_ms, Policy::default().timeout_ms);

        std::fs::write(&file, "brokerurl = \"amqp://x\"\n").unwrap();
        assert!(Settings::load(Some(&file)).unwrap_err().message.contains("brokerurl"));
        std::fs::remove_file(&file).unwrap();
        assert!(Settings::load(Some(&file)).unwrap_err().message.contains("no configuration file"));
    }
}

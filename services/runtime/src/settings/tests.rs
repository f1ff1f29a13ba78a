//! Settings from files and variables, their mistakes, and the example file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use figment::Figment;
use figment::providers::{Format as _, Toml};
use paceline_core::policy::Policy;
use paceline_core::ports::sink::Payloads;

use super::load::{NOT_SETTINGS, key};
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
        metrics: MetricSettings { endpoint: Some("localhost:4317".into()), interval_seconds: 0, ..Default::default() },
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
    std::fs::write(&file, "namespace = \"mine\"\n[sink]\npayload = \"stored\"\n[queues.payments]\nattempts_max = 3\n")
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

//! The settings themselves, with their defaults. [`load`](super::load) reads them and [`check`](super::check) refuses wrong ones.

use std::collections::BTreeMap;
use std::path::PathBuf;

use paceline_core::connections::Connections;
use paceline_core::ids::{DEFAULT_GROUP, DEFAULT_QUEUE};
use paceline_core::policy::Policy;
use serde::{Deserialize, Serialize};

use super::sections::{MetricSettings, SinkSettings, TraceSettings};
use super::text;
use crate::admin::AdminAt;
use crate::telemetry::LogFormat;

/// Every setting of a process, whatever its role.
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
    /// The scheduler, for the CLI: `http://host:port`.
    pub server: String,
    /// The producers, for the scheduler: `http://host:port`, separated by commas.
    pub producers: String,
    /// The admin port of a role: `HOST:PORT`, a `HOST` with the role's own port, or `off`. Without it: loopback.
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
    /// The place of the admin port; the error is the mistake in the setting, in words.
    pub fn admin_at(&self) -> std::result::Result<AdminAt, String> {
        self.admin.as_deref().map_or(Ok(AdminAt::Default), str::parse)
    }

    /// The addresses of producers, in their order; a name stands for all of its addresses.
    pub fn producer_addresses(&self) -> Vec<String> {
        self.producers
            .split(',')
            .map(|address| address.trim().to_owned())
            .filter(|address| !address.is_empty())
            .collect()
    }
}

impl Settings {
    /// The services that the settings name, as the adapters take them.
    pub fn connections(&self) -> Connections {
        Connections {
            broker_url: self.broker_url.clone(),
            sink_url: self.sink_url.clone(),
            ledger_url: self.ledger_url.clone(),
            namespace: self.namespace.clone(),
            ca_file: self.ca_file.clone(),
            // Settings that are wrong were refused before.
            payloads: self.sink.payloads().unwrap_or_default(),
        }
    }
}

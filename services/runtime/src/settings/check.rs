//! The check of the settings: every mistake at once, each under the name of its field.

use paceline_core::error::{Violations, codes};
use paceline_core::nodes::{node_urls, wrong_nodes};
use paceline_core::{Error, Result, ids};

use super::secrets;
use super::values::Settings;

const HTTP: &[&str] = &["http", "https"];

impl Settings {
    /// Refuses settings with which no role could work; the error has a field for each mistake, in the order of the groups below.
    pub fn check(&self) -> Result<()> {
        let mut violations = Violations::default();
        self.check_services(&mut violations);
        self.check_names(&mut violations);
        self.check_sink(&mut violations);
        self.check_telemetry(&mut violations);
        if self.high_water == 0 {
            violations.add("high_water", "must be at least 1");
        }
        violations.check_coded(codes::SETTINGS_INVALID)
    }

    /// Addresses of services and roles.
    fn check_services(&self, violations: &mut Violations) {
        let mut url = |field: &str, value: &str, schemes: &[&str]| {
            if let Some(mistake) = url_mistake(value, schemes) {
                violations.add(field, mistake);
            }
        };
        url("broker_url", &self.broker_url, &["amqp", "amqps", "embedded"]);
        url("sink_url", &self.sink_url, &["http", "https", "embedded"]);
        url("ledger_url", &self.ledger_url, &["redis", "rediss", "redis+sentinel", "rediss+sentinel", "embedded"]);
        url("server", &self.server, HTTP);
        self.producer_addresses().iter().for_each(|address| url("producers", address, HTTP));
        if let Err(wrong) = self.admin_at() {
            violations.add("admin", wrong);
        }
    }

    /// Names that become parts of queues, indices and keys, and the policies of the queues.
    fn check_names(&self, violations: &mut Violations) {
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
    }

    fn check_sink(&self, violations: &mut Violations) {
        if let Err(wrong) = self.sink.payloads() {
            violations.add("sink.payload", wrong.fields[0].description.clone());
        }
    }

    fn check_telemetry(&self, violations: &mut Violations) {
        let addresses = [
            ("traces.endpoint", &self.traces.endpoint),
            ("traces.query_url", &self.traces.query_url),
            ("metrics.endpoint", &self.metrics.endpoint),
        ];
        for (field, url) in addresses {
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
    }
}

/// The mistake in the address of a service, of any of its nodes, in words that show no password.
fn url_mistake(value: &str, schemes: &[&str]) -> Option<String> {
    let scheme = value.split_once(':').map_or("", |(scheme, _)| scheme);
    if !schemes.contains(&scheme) {
        return Some(format!("must begin with one of {schemes:?}, not {scheme:?}"));
    }
    if let Some(wrong) = wrong_nodes(value) {
        return Some(wrong);
    }
    if scheme != "embedded" && node_urls(value).iter().any(|node| url::Url::parse(node).is_err()) {
        return Some("is not a URL".to_owned());
    }
    secrets::mistake(value)
}

fn is_http(url: &str) -> bool {
    url::Url::parse(url).is_ok_and(|url| HTTP.contains(&url.scheme()))
}

/// A namespace has no dots: with one it could share a queue with another, since a queue is `<namespace>.<queue>.<group>` to
/// the broker, and the queue's own name may have dots.
fn check_namespace(namespace: &str) -> Result<()> {
    ids::check_name("namespace", namespace)?;
    if namespace.contains('.') {
        return Err(Error::invalid_field("namespace", format!("{namespace:?} is not a namespace: no dots"))
            .coded(codes::NAME_INVALID));
    }
    Ok(())
}

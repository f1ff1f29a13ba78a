//! The things that a benchmark may have left, in words for a person, each with a command that removes it.

use std::path::Path;

use paceline_core::connections::is_embedded;
use paceline_core::nodes::node_urls;
use paceline_runtime::settings::Settings;
use url::{Url, form_urlencoded};

/// Something that is still there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leftover {
    /// Such as "in the broker: exchange x".
    pub what: String,
    /// A command for a person.
    pub by_hand: String,
}

impl std::fmt::Display for Leftover {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}\n    to remove it: {}", self.what, self.by_hand)
    }
}

/// The leftovers on broker, sink and ledger under the settings' namespace; `None` where a service is embedded.
pub fn on_services(settings: &Settings) -> [Option<Leftover>; 3] {
    let is_service = |url: &str| !is_embedded(url);
    [
        is_service(&settings.broker_url).then(|| in_broker(settings)),
        is_service(&settings.sink_url).then(|| in_sink(settings)),
        is_service(&settings.ledger_url).then(|| in_ledger(settings)),
    ]
}

pub fn folder(folder: &Path) -> Leftover {
    Leftover { what: format!("the folder {}", folder.display()), by_hand: format!("rm -r '{}'", folder.display()) }
}

fn in_broker(settings: &Settings) -> Leftover {
    let (namespace, vhost) = (&settings.namespace, vhost(&settings.broker_url));
    Leftover {
        what: format!("in the broker: exchange {namespace} and the queues whose names begin with {namespace}."),
        by_hand: format!(
            "rabbitmqctl -q list_queues -p '{vhost}' name | grep '^{namespace}\\.' | \
             xargs -n 1 rabbitmqctl delete_queue -p '{vhost}'; rabbitmqctl eval 'rabbit_exchange:delete(\
             rabbit_misc:r(<<\"{vhost}\">>, exchange, <<\"{namespace}\">>), false, <<\"bench\">>).'"
        ),
    }
}

fn in_sink(settings: &Settings) -> Leftover {
    let (namespace, url) = (&settings.namespace, without_password(&settings.sink_url));
    Leftover {
        what: format!(
            "in the sink: indices {namespace}-jobs-<date> and {namespace}-runs, index templates {namespace} and {namespace}:runs"
        ),
        by_hand: format!(
            "for i in $(curl -s \"{url}/_cat/indices/{namespace}-*?h=index\"); do curl -X DELETE \"{url}/$i\"; done; \
             for t in {namespace} {namespace}:runs; do curl -X DELETE \"{url}/_index_template/$t\"; done"
        ),
    }
}

fn in_ledger(settings: &Settings) -> Leftover {
    let (namespace, url) = (&settings.namespace, without_password(&settings.ledger_url));
    let url = if url.contains("+sentinel://") { "redis://<its primary>".to_owned() } else { url };
    Leftover {
        what: format!("in the ledger: the keys that begin with {namespace}:"),
        by_hand: format!(
            "redis-cli -u \"{url}\" --scan --pattern '{namespace}:*' | xargs redis-cli -u \"{url}\" unlink"
        ),
    }
}

/// The vhost that a broker's URL names; nothing is `/`.
fn vhost(broker_url: &str) -> String {
    let url = Url::parse(&node_urls(broker_url)[0]);
    let path = url.map(|url| url.path().trim_start_matches('/').to_owned()).unwrap_or_default();
    // The value of a form is encoded as a path is, but for these two.
    let form = format!("vhost={}", path.replace('+', "%2B").replace('&', "%26"));
    let decoded = form_urlencoded::parse(form.as_bytes()).next().map(|(_, vhost)| vhost.into_owned());
    decoded.filter(|vhost| !vhost.is_empty()).unwrap_or_else(|| "/".into())
}

/// The URL without its password, for a person who knows it.
fn without_password(url: &str) -> String {
    // Of a cluster, any node will do.
    let Ok(mut url) = Url::parse(&node_urls(url)[0]) else { return String::new() };
    // A URL that can have no password has none.
    _ = url.set_password(None);
    url.as_str().trim_end_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_person_is_told_fits_the_services_and_holds_no_password() {
        for (url, expected) in [("amqp://h", "/"), ("amqp://h/%2f", "/"), ("amqp://h/a%20b+c&d", "a b+c&d")] {
            assert_eq!(vhost(url), expected, "{url}");
        }
        let user = Settings {
            broker_url: "amqp://u:secret@h/jobs".into(),
            sink_url: "https://elastic:secret@search.example:9243/es/".into(),
            ledger_url: "redis://:secret@h:6379/0".into(),
            ..Settings::default()
        };
        let told: Vec<String> = on_services(&user).iter().flatten().map(Leftover::to_string).collect();
        assert_eq!(told.len(), 3);
        let parts = ["delete_queue -p 'jobs'", "https://elastic@search.example:9243/es/_cat", "redis://h:6379/0\""];
        for (told, part) in told.iter().zip(parts) {
            assert!(told.contains(part) && !told.contains("secret"), "{told}");
        }
    }
}

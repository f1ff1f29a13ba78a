//! Passwords that everybody knows, in the addresses of the services: harmless on loopback, where packages come with them, and an
//! open door anywhere else.

use std::net::IpAddr;

use paceline_core::nodes::node_urls;
use percent_encoding::percent_decode_str;
use url::Url;

/// The passwords that packages, images and examples come with. Besides these: the user's own name, and all that begin with `change`.
const DEFAULTS: [&str; 11] =
    ["guest", "password", "passwd", "secret", "admin", "elastic", "rabbitmq", "redis", "paceline", "default", "test"];

/// The mistake in this service's address, of any of its nodes, which never shows the password.
pub fn mistake(address: &str) -> Option<String> {
    node_urls(address).iter().find_map(|node| mistake_of_node(&Url::parse(node).ok()?))
}

fn mistake_of_node(url: &Url) -> Option<String> {
    let host = url.host_str().filter(|host| !is_loopback(host))?;
    let mistake = match logins(url) {
        None => "has no password, which stands for RabbitMQ's default one,",
        Some(logins) if logins.iter().any(Login::is_default) => "has a default password",
        Some(_) => return None,
    };
    Some(format!(
        "{mistake} for {host}, which is not this machine alone; set one of your own, e.g. `openssl rand -hex 32`"
    ))
}

#[derive(Default)]
struct Login {
    user: String,
    password: String,
}

impl Login {
    fn is_default(&self) -> bool {
        let password = self.password.to_lowercase();
        !password.is_empty()
            && (password == self.user.to_lowercase()
                || password.starts_with("change")
                || DEFAULTS.contains(&password.as_str()))
    }
}

/// The logins of the URL, decoded: at the service, and at the sentinels before it. `None`: AMQP without a password, where the adapter uses
/// the password that RabbitMQ comes with.
fn logins(url: &Url) -> Option<[Login; 2]> {
    let decoded = |part: &str| percent_decode_str(part).decode_utf8_lossy().into_owned();
    let service = Login { user: decoded(url.username()), password: decoded(url.password().unwrap_or_default()) };
    if service.password.is_empty() && url.scheme().starts_with("amqp") {
        return None;
    }
    let mut sentinels = Login::default();
    for (key, value) in url.query_pairs() {
        match &*key {
            "sentinel_user" => sentinels.user = value.into_owned(),
            "sentinel_password" => sentinels.password = value.into_owned(),
            _ => {}
        }
    }
    Some([service, sentinels])
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_default_password_is_good_for_this_machine_only() {
        let refused = [
            "amqp://guest:guest@rabbitmq:5672/%2f",
            "amqp://paceline:Changeme1@rabbitmq:5672/%2f",
            "amqps://paceline:paceline@10.0.0.7",
            "http://elastic:changeme@elasticsearch:9200",
            "http://elastic:ELASTIC@[2001:db8::1]:9200",
            "redis://me:me@redis",
            // RabbitMQ's adapter fills in guest.
            "amqp://rabbitmq:5672",
            "amqp://guest@rabbitmq",
            "amqp://paceline:@rabbitmq",
            "amqps://rabbitmq/jobs",
            // No parser of URLs takes several hosts.
            "amqp://paceline:guest@h1:5672,h2:5672",
            "amqp://127.0.0.1:5672,h2:5672",
            "http://elastic:changeme@127.0.0.1:9200,h2:9200",
            "redis+sentinel://:redis@h1:26379,h2:26379/paceline",
            "redis+sentinel://:6b3f1c0a9d@h1,h2:26379/paceline?sentinel_password=changeme",
            "redis+sentinel://h1,h2:26379/paceline?sentinel_user=me&sentinel_password=m%65",
            // The adapters decode it.
            "amqp://u:gu%65st@rabbitmq",
            "redis://:%52edis@redis",
        ];
        let (said, taken): (Vec<_>, Vec<_>) =
            refused.iter().map(|address| mistake(address).ok_or(address)).partition(Result::is_ok);
        assert!(taken.is_empty(), "{taken:?}");
        assert!(said.iter().flatten().all(|said| !said.to_lowercase().contains("changeme")), "{said:?}");
        for taken in [
            "amqp://guest:guest@127.0.0.1:5672/%2f",
            "amqp://guest:guest@localhost",
            "redis://:redis@[::1]:6379",
            "http://elasticsearch:9200",
            "redis://:6b3f1c0a9d@redis:6379/0",
            "embedded:.paceline",
            "amqp://127.0.0.1:5672,localhost:5673",
            "amqp://paceline:6b3f1c0a9d@h1:5672,h2:5672",
            "redis://redis:6379",
            "redis+sentinel://127.0.0.1:26379,[::1]:26379/paceline?sentinel_password=changeme",
            "redis+sentinel://:6b3f1c0a9d@h1,h2:26379/paceline?sentinel_user=me&sentinel_password=0d1e2f3a4b",
        ] {
            assert_eq!(mistake(taken), None, "{taken}");
        }
    }
}

//! Passwords that everybody knows, in the addresses of the services: harmless on loopback, where packages come with them, and an
//! open door anywhere else.

use std::net::IpAddr;

use url::Url;

/// What packages, images and examples come with. Besides these: the user's own name, and all that begin with `change`.
const DEFAULTS: [&str; 11] =
    ["guest", "password", "passwd", "secret", "admin", "elastic", "rabbitmq", "redis", "paceline", "default", "test"];

/// The mistake in this service's address, which never shows the password.
pub fn mistake(address: &str) -> Option<String> {
    let url = Url::parse(address).ok()?;
    let (host, password) = (url.host_str()?, url.password()?.to_lowercase());
    let is_default = password == url.username().to_lowercase()
        || password.starts_with("change")
        || DEFAULTS.contains(&password.as_str());
    (is_default && !is_loopback(host)).then(|| {
        format!("has a default password for {host}, which is not this machine alone; set one of your own, e.g. `openssl rand -hex 32`")
    })
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_default_password_is_good_for_this_machine_only() {
        for refused in [
            "amqp://guest:guest@rabbitmq:5672/%2f",
            "amqp://paceline:Changeme1@rabbitmq:5672/%2f",
            "amqps://paceline:paceline@10.0.0.7",
            "http://elastic:changeme@elasticsearch:9200",
            "http://elastic:ELASTIC@[2001:db8::1]:9200",
            "redis://me:me@redis",
        ] {
            let said = mistake(refused).unwrap_or_else(|| panic!("{refused} was taken"));
            assert!(!said.to_lowercase().contains("changeme"), "{said}");
        }
        for taken in [
            "amqp://guest:guest@127.0.0.1:5672/%2f",
            "amqp://guest:guest@localhost",
            "redis://:redis@[::1]:6379",
            "http://elasticsearch:9200",
            "redis://:6b3f1c0a9d@redis:6379/0",
            "embedded:.paceline",
        ] {
            assert_eq!(mistake(taken), None, "{taken}");
        }
    }
}

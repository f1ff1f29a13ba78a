//! Bounds on reaching a thing, and the words for a service that was not reached. The other files of the folder ask through here.

use std::future::Future;
use std::time::Duration;

use paceline_core::{Error, Result};

use super::checkup::DoctorCheck;

/// The longest that one probe may take.
pub const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// The answer of `probe`; UNAVAILABLE if there is none within [`PROBE_TIMEOUT`].
pub async fn within<T>(probe: impl Future<Output = Result<T>>) -> Result<T> {
    let late = |_| Error::unavailable(format!("no answer within {} s", PROBE_TIMEOUT.as_secs()));
    tokio::time::timeout(PROBE_TIMEOUT, probe).await.map_err(late)?
}

/// The failed check of a service that everything needs: `name` is `broker`, `sink` or `ledger`. The URL is shown without secrets.
pub fn unreached(name: &str, url: &str, error: &Error) -> DoctorCheck {
    let variable = format!("PACELINE_{}_URL", name.to_ascii_uppercase());
    let remedy =
        format!("is it running at {}? {variable} or `{name}_url` in the settings file says where it is", redacted(url));
    DoctorCheck::failed(name, error, remedy).required()
}

/// A URL without what may be a secret in it. The last `@` counts, so a password with odd characters does not leak.
fn redacted(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    if query.contains('@') && !query.starts_with("sentinel_") {
        // The query may be the second half of a password, and the text before it the first.
        return format!("{scheme}://…");
    }
    let host = place.rsplit_once('@').map_or(place, |(_, host)| host);
    format!("{scheme}://{}", host.split(['/', '?', '#']).next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        for (url, shown) in [
            ("amqp://user:secret@host:5672/vhost", "amqp://host:5672"),
            ("redis://:se/cr@et@host", "redis://host"),
            ("redis://:se?cr@et@host", "redis://…"),
            ("redis+sentinel://u:p@h1:1,h2:2/p?sentinel_password=ab@cd", "redis+sentinel://h1:1,h2:2"),
            ("redis+sentinel://h1:1,h2:2/p?sentinel_user=x&sentinel_password=ab@cd", "redis+sentinel://h1:1,h2:2"),
            ("http://127.0.0.1:9200", "http://127.0.0.1:9200"),
            ("embedded:data", "embedded:data"),
        ] {
            assert_eq!(redacted(url), shown);
        }
    }
}

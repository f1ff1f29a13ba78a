//! The settings of a connection to Elasticsearch, checked before anything is sent.

use std::fmt;
use std::path::PathBuf;

use paceline_core::error::codes;
use paceline_core::ids::check_name;
use paceline_core::nodes::{node_urls, wrong_nodes};
use paceline_core::ports::sink::Payloads;
use paceline_core::{Error, Result};
use url::Url;

/// The URL of Elasticsearch, and the namespace that is Paceline's in it.
#[derive(Clone)]
pub struct ElasticConfig {
    /// `http(s)://[user:password@]host:port[,host:port…][/prefix]`.
    pub url: String,
    /// The prefix of every index and the name of the index template; two namespaces never see each other.
    pub namespace: String,
    /// A PEM file of certificate authorities that are trusted in addition to the public ones.
    pub ca_file: Option<PathBuf>,
    /// The way in which payloads are indexed, in indices that are made from now on.
    pub payloads: Payloads,
}

impl ElasticConfig {
    /// The URL of each node, if all of the config is usable. A URL that cannot be read is not repeated: it may hold a password.
    pub(super) fn check(&self) -> Result<Vec<Url>> {
        check_name("namespace", &self.namespace)?;
        let bad = |what: String| {
            Error::invalid_field("sink url", format!("{what}; write http(s)://[user:password@]host:port"))
                .coded(codes::SERVICE_URL_INVALID)
        };
        if let Some(wrong) = wrong_nodes(&self.url) {
            return Err(bad(wrong));
        }
        let read = |url: &String| {
            let url = Url::parse(url).map_err(|e| bad(format!("it is not a url: {e}")))?;
            if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
                return Err(bad(format!("{}: is not a scheme of Elasticsearch", url.scheme())));
            }
            Ok(url)
        };
        node_urls(&self.url).iter().map(read).collect()
    }
}

impl fmt::Debug for ElasticConfig {
    /// Without the URL's credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let addresses = |urls: Vec<Url>| urls.iter().map(address).collect::<Vec<_>>().join(", ");
        let address = self.check().map_or_else(|_| "(not usable)".to_owned(), addresses);
        let Self { url: _, namespace, ca_file, payloads } = self;
        f.debug_struct("ElasticConfig")
            .field("url", &address)
            .field("namespace", namespace)
            .field("ca_file", ca_file)
            .field("payloads", payloads)
            .finish()
    }
}

/// The URL as it may be shown: without credentials.
pub(super) fn address(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    let port = url.port_or_known_default().unwrap_or_default();
    format!("{}://{host}:{port}{}", url.scheme(), url.path().trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(url: &str) -> ElasticConfig {
        ElasticConfig { url: url.into(), namespace: "paceline".into(), ca_file: None, payloads: Payloads::default() }
    }

    #[test]
    fn a_password_is_never_shown() {
        let shown = format!("{:?}", config("https://elastic:s3cret@search.example:9243/es/"));
        assert!(shown.contains("https://search.example:9243/es") && !shown.contains("s3cret"), "{shown}");
        let shown = format!("{:?}", config("http://elastic:s3cret@h1:1,h2:2"));
        assert!(shown.contains("http://h1:1, http://h2:2") && !shown.contains("s3cret"), "{shown}");
        for bad in ["elastic:s3cret@host", "redis://elastic:s3cret@host", "http://:s3cret@", "http://u:s3cret@h1,,h2"] {
            let config = config(bad);
            let error = config.check().expect_err(bad);
            assert!(!error.message.contains("s3cret") && !format!("{config:?}").contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn a_namespace_must_be_a_name() {
        let config = ElasticConfig { namespace: "Bad*".into(), ..config("http://127.0.0.1:9200") };
        assert!(config.check().is_err_and(|e| e.message.contains("namespace")));
    }
}

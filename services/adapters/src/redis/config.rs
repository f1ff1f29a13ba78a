//! The settings of a connection to Redis. The URL names one [`Server`], or [`Sentinels`] that know which server is the primary.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use paceline_core::error::codes;
use paceline_core::ids::check_name;
use paceline_core::nodes::{node_urls, wrong_nodes};
use paceline_core::{Error, Result};

use super::sentinels::Sentinels;
use super::server::{Server, wrong_url};

#[derive(Clone)]
pub struct RedisConfig {
    /// `redis://` or `rediss://[user:password@]host[:port][/database]`; or `redis+sentinel://` or
    /// `rediss+sentinel://[user:password@]sentinel[:port],…/primary's name[/database]`.
    pub url: String,
    /// The first part of every key, so that several Pacelines share one Redis.
    pub namespace: String,
    /// PEM of the authority that signed the server's certificate, instead of the operating system's.
    pub ca_file: Option<PathBuf>,
}

/// The URL, read.
pub(super) enum RedisAddress {
    Server(Box<Server>),
    /// Sentinels, which know which server is the primary now.
    Sentinels(Arc<Sentinels>),
}

/// The URL may hold a password, so it is never printed.
impl fmt::Debug for RedisConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let server = self.place().map_or_else(|_| "unreadable".to_owned(), |place| place.label());
        f.debug_struct("RedisConfig")
            .field("server", &server)
            .field("namespace", &self.namespace)
            .field("ca_file", &self.ca_file)
            .finish()
    }
}

impl RedisConfig {
    pub(super) fn place(&self) -> Result<RedisAddress> {
        check_name("namespace", &self.namespace)?;
        if let Some(wrong) = wrong_nodes(&self.url) {
            return Err(wrong_url(wrong));
        }
        let ca = self.authority()?;
        if self.url.starts_with("redis+sentinel://") || self.url.starts_with("rediss+sentinel://") {
            return Sentinels::read(&self.url, ca).map(|sentinels| RedisAddress::Sentinels(Arc::new(sentinels)));
        }
        if node_urls(&self.url).len() > 1 {
            return Err(wrong_url(
                "several redis servers need sentinels that say which is the primary; \
                 write redis+sentinel://sentinel1:26379,sentinel2:26379,sentinel3:26379/<primary's name>",
            ));
        }
        Server::at(&self.url, ca.as_deref()).map(Box::new).map(RedisAddress::Server)
    }

    /// The bytes of the CA file.
    fn authority(&self) -> Result<Option<Vec<u8>>> {
        let read = |path: &PathBuf| {
            std::fs::read(path).map_err(|e| {
                Error::invalid_field("ca_file", format!("cannot read {}: {e}", path.display()))
                    .coded(codes::CA_FILE_UNUSABLE)
            })
        };
        self.ca_file.as_ref().map(read).transpose()
    }
}

impl RedisAddress {
    pub(super) fn label(&self) -> String {
        match self {
            Self::Server(server) => server.address.clone(),
            Self::Sentinels(sentinels) => sentinels.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(url: &str) -> RedisConfig {
        RedisConfig { url: url.into(), namespace: "paceline".into(), ca_file: None }
    }

    fn refusal(url: &str) -> Error {
        config(url).place().map(drop).unwrap_err()
    }

    #[test]
    fn neither_print_nor_error_shows_the_password() {
        let good = config("rediss://someone:s3cret@redis.example:6380/2");
        assert!(!format!("{good:?}").contains("s3cret"));
        assert_eq!(good.place().unwrap().label(), "redis.example:6380");

        for bad in ["redis://someone:s3cret@", "s3cret", "http://s3cret@host", "redis://u:s3cret@host:port"] {
            let refused = refusal(bad);
            assert!(!refused.message.contains("s3cret") && refused.message.contains("redis URL"), "{refused}");
        }
        let spaced = RedisConfig { namespace: "two words".into(), ..good };
        assert_eq!(spaced.place().map(drop).unwrap_err().fields[0].field, "namespace");
    }

    #[test]
    fn sentinels_are_read_and_what_is_missing_is_named() {
        let good = config("redis+sentinel://u:s3cret@h1,h2:2,[::1]:3/paceline/4?sentinel_password=h1dden");
        let shown = format!("{good:?}");
        assert!(!shown.contains("s3cret") && !shown.contains("h1dden"), "{shown}");
        assert_eq!(good.place().unwrap().label(), "paceline, known to the sentinels h1:26379, h2:2 and ::1:3");
        for (bad, reason) in [
            ("redis://h1:1,h2:2/0", "redis+sentinel://"),
            ("redis+sentinel://h1,h2", "the primary's name"),
            ("redis+sentinel://h1,,h2/paceline", "comma"),
            ("redis+sentinel://h1/paceline/s3cret", "database"),
            ("redis+sentinel://h1:s3cret/paceline", "sentinel URL"),
            ("redis+sentinel://h1/paceline?sentinel_pass=s3cret", "sentinel_password"),
        ] {
            let refused = refusal(bad);
            assert!(refused.message.contains(reason) && !refused.message.contains("s3cret"), "{refused}");
            assert_eq!(refused.fields[0].field, "ledger_url");
        }
    }

    #[test]
    fn a_sentinels_password_is_taken_as_it_is_written() {
        let RedisAddress::Sentinels(sentinels) =
            config("redis+sentinel://h1/p?sentinel_user=a+b&sentinel_password=c+d%2Be%40").place().unwrap()
        else {
            panic!("these are sentinels");
        };
        assert_eq!(sentinels.logins(), [(Some("a+b"), Some("c+d+e@"))]);
    }
}

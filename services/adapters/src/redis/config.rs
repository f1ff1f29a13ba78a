//! Where the Redis is, and how its client is built: plain or TLS, with the operating system's roots or an own CA file.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use paceline_core::ids::check_name;
use paceline_core::{Error, Result};
use redis::io::tcp::TcpSettings;
use redis::{Client, ConnectionInfo, IntoConnectionInfo, TlsCertificates};

/// How long sent bytes may stay unacknowledged before the connection counts as dead: a silent network must not keep it.
const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(5);

#[derive(Clone)]
pub struct RedisConfig {
    /// `redis://` or `rediss://[user:password@]host[:port][/database]`.
    pub url: String,
    /// The first part of every key, so that several Pacelines share one Redis.
    pub namespace: String,
    /// PEM of the authority that signed the server's certificate, instead of the operating system's.
    pub ca_file: Option<PathBuf>,
}

/// The URL may hold a password, so it is never printed.
impl fmt::Debug for RedisConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let server = self.info().map_or_else(|_| "unreadable".to_owned(), |info| info.addr().to_string());
        f.debug_struct("RedisConfig")
            .field("server", &server)
            .field("namespace", &self.namespace)
            .field("ca_file", &self.ca_file)
            .finish()
    }
}

impl RedisConfig {
    /// The client, and the server's address for messages.
    pub(super) fn client(&self) -> Result<(Client, String)> {
        check_name("namespace", &self.namespace)?;
        let info = self.info()?;
        let server = info.addr().to_string();
        let client = match &self.ca_file {
            None => Client::open(info),
            Some(path) => {
                let pem = std::fs::read(path)
                    .map_err(|e| Error::invalid_field("ca_file", format!("cannot read {}: {e}", path.display())))?;
                Client::build_with_tls(info, TlsCertificates { client_tls: None, root_cert: Some(pem) })
            }
        };
        let client =
            client.map_err(|e| Error::invalid_field("ledger_url", format!("no client for redis at {server}: {e}")))?;
        Ok((client, server))
    }

    fn info(&self) -> Result<ConnectionInfo> {
        // The reason of the parser is left out: it may quote what it could not read, and so a password.
        let unreadable = "not a redis URL; write redis://host:6379 or rediss://user:password@host:6379";
        let info =
            self.url.as_str().into_connection_info().map_err(|_| Error::invalid_field("ledger_url", unreadable))?;
        let tcp = TcpSettings::default().set_nodelay(true);
        #[cfg(target_os = "linux")]
        let tcp = tcp.set_user_timeout(UNACKNOWLEDGED_MAX);
        Ok(info.set_tcp_settings(tcp))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(url: &str) -> RedisConfig {
        RedisConfig { url: url.into(), namespace: "paceline".into(), ca_file: None }
    }

    #[test]
    fn neither_print_nor_error_shows_the_password() {
        let good = config("rediss://someone:s3cret@redis.example:6380/2");
        assert!(!format!("{good:?}").contains("s3cret"));
        assert_eq!(good.client().unwrap().1, "redis.example:6380");

        for bad in ["redis://someone:s3cret@", "s3cret", "http://s3cret@host", "redis://u:s3cret@host:port"] {
            let refused = config(bad).client().map(drop).unwrap_err();
            assert!(!refused.message.contains("s3cret") && refused.message.contains("redis URL"), "{refused}");
        }
        let spaced = RedisConfig { namespace: "two words".into(), ..good };
        assert_eq!(spaced.client().map(drop).unwrap_err().fields[0].field, "namespace");
    }
}

//! The address and the login of one node of RabbitMQ, from a URL. The password appears nowhere else.

use std::fmt;

use paceline_core::error::codes;
use paceline_core::{Error, Result};
use url::Url;

use crate::percent::percent_decoded;

/// AMQP's limit for names, logins and ids.
pub const SHORT_STRING_BYTES_MAX: usize = 255;

const PORT_DEFAULT: u16 = 5672;
const PORT_TLS_DEFAULT: u16 = 5671;

/// The URL of one node, read.
#[derive(Clone)]
pub struct Endpoint {
    pub host: String,
    pub port: u16,
    pub is_tls: bool,
    pub vhost: String,
    pub user: String,
    pub password: String,
}

/// `host:port`, which is what messages say.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl Endpoint {
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = |what: &str| {
            Error::invalid_field("broker_url", format!("{what}; use amqp://user:password@host:5672/vhost"))
                .coded(codes::SERVICE_URL_INVALID)
        };
        let url = Url::parse(text).map_err(|e| wrong(&format!("not a URL: {e}")))?;
        let is_tls = match url.scheme() {
            "amqp" => false,
            "amqps" => true,
            other => return Err(wrong(&format!("scheme {other:?} is not amqp or amqps"))),
        };
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(|| wrong("the host is missing"))?;
        let part = |encoded: &str, default: &str| match encoded {
            "" => Ok(default.to_owned()),
            _ => percent_decoded(encoded)
                .filter(|t| t.len() <= SHORT_STRING_BYTES_MAX)
                .ok_or_else(|| wrong("a part is not text")),
        };
        Ok(Self {
            host: host.trim_start_matches('[').trim_end_matches(']').to_owned(),
            port: url.port().unwrap_or(if is_tls { PORT_TLS_DEFAULT } else { PORT_DEFAULT }),
            is_tls,
            vhost: part(url.path().strip_prefix('/').unwrap_or(""), "/")?,
            user: part(url.username(), "guest")?,
            password: part(url.password().unwrap_or(""), "guest")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_with_their_defaults() {
        let read =
            |text: &str| Endpoint::parse(text).map(|e| (e.to_string(), e.is_tls, e.vhost, e.user, e.password)).unwrap();
        let own =
            |a: &str, b: bool, c: &str, d: &str, e: &str| (a.to_owned(), b, c.to_owned(), d.to_owned(), e.to_owned());
        assert_eq!(read("amqp://localhost"), own("localhost:5672", false, "/", "guest", "guest"));
        assert_eq!(read("amqp://u:p%40ss@h:99/%2f"), own("h:99", false, "/", "u", "p@ss"));
        assert_eq!(read("amqps://h/jobs"), own("h:5671", true, "jobs", "guest", "guest"));
        assert_eq!(read("amqp://[::1]:7/"), own("::1:7", false, "/", "guest", "guest"));
    }

    #[test]
    fn a_wrong_url_says_what_is_wrong() {
        for (text, reason) in [("rabbit", "not a URL"), ("http://h", "scheme"), ("amqp://h/%zz", "not text")] {
            let message = Endpoint::parse(text).err().unwrap().message;
            assert!(message.contains(reason), "{message}");
        }
    }
}

//! The settings of a connection to RabbitMQ: the URL, which may name several nodes, the namespace, the CA file.

use std::fmt;
use std::path::PathBuf;

use paceline_core::Result;
use paceline_core::ids::check_name;

use super::nodes::RabbitNodes;

/// The settings that [`super::RabbitBroker::connect`] needs.
#[derive(Clone)]
pub struct RabbitConfig {
    /// `amqp://user:password@host:port,host:port/vhost`, or `amqps://…`; `%2f` or nothing is the vhost `/`.
    pub url: String,
    /// The exchange, and the first part of every queue's name.
    pub namespace: String,
    /// Certificates (PEM) to trust besides the system's, for `amqps`.
    pub ca_file: Option<PathBuf>,
}

impl fmt::Debug for RabbitConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = RabbitNodes::parse(&self.url).map(|nodes| nodes.to_string()).unwrap_or_default();
        f.debug_struct("RabbitConfig")
            .field("url", &url)
            .field("namespace", &self.namespace)
            .field("ca_file", &self.ca_file)
            .finish()
    }
}

impl RabbitConfig {
    pub(super) fn nodes(&self) -> Result<RabbitNodes> {
        check_name("namespace", &self.namespace)?;
        RabbitNodes::parse(&self.url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_is_not_shown() {
        let config = RabbitConfig { url: "amqp://u:secret@h".into(), namespace: "n".into(), ca_file: None };
        assert!(!format!("{config:?}").contains("secret"));
    }
}

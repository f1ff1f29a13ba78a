//! The nodes of RabbitMQ that a URL names. A connection leads to one of them, and the next connection tries the next node: a node that
//! is away costs its share of one attempt and no more, and clients that lost a node spread over those that are left.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use paceline_core::error::codes;
use paceline_core::nodes::{node_urls, wrong_nodes};
use paceline_core::{Error, ErrorKind, Result};

use super::connection::AmqpConnection;
use super::endpoint::Endpoint;
use super::limits::CONNECT_TIMEOUT;
use crate::one_cluster::{Found, of_one_cluster};
use crate::rotation::Rotation;

/// The longest that one node of several may take until a connection to it is open. One that is frozen takes all of it.
const CONNECT_TO_ONE_TIMEOUT: Duration = Duration::from_secs(2);

pub struct RabbitNodes(Rotation<Endpoint>);

impl RabbitNodes {
    pub fn parse(url: &str) -> Result<Self> {
        if let Some(wrong) = wrong_nodes(url) {
            return Err(Error::invalid_field("broker_url", wrong).coded(codes::SERVICE_URL_INVALID));
        }
        let node = |url: &String| Endpoint::parse(url).map(|endpoint| (endpoint.to_string(), endpoint));
        Ok(Self(Rotation::new(node_urls(url).iter().map(node).collect::<Result<Vec<_>>>()?)))
    }

    /// Connects to the next node that answers. Each node is tried once; if none answers, the error has the reason of each.
    pub async fn connect(&self, ca_file: Option<&Path>, name: &str) -> Result<AmqpConnection> {
        let timeout = if self.0.len() == 1 { CONNECT_TIMEOUT } else { CONNECT_TO_ONE_TIMEOUT };
        let mut errors = Vec::new();
        for _ in 0..self.0.len() {
            match AmqpConnection::open(&self.0.next().node, ca_file, name, timeout).await {
                Ok(connection) => return Ok(connection),
                Err(error) => errors.push(error),
            }
        }
        Err(all_failed(errors))
    }

    /// Each node with its product and version, or with the reason for which it does not answer or is not of the others' cluster.
    pub async fn look(&self, ca_file: Option<&Path>) -> Vec<(String, Result<String>)> {
        let looks = self.0.iter().map(async |member| {
            let opened = AmqpConnection::open(&member.node, ca_file, "paceline look", CONNECT_TO_ONE_TIMEOUT).await;
            let found = |connection: AmqpConnection| Found {
                words: connection.server().to_owned(),
                cluster: connection.cluster().map(str::to_owned),
            };
            (member.address.clone(), opened.map(found))
        });
        of_one_cluster(futures::future::join_all(looks).await)
    }
}

/// A node that says what is wrong says more than one that is away.
fn all_failed(mut errors: Vec<Error>) -> Error {
    if errors.len() == 1 {
        return errors.remove(0);
    }
    if let Some(refusal) = errors.iter().find(|error| error.kind != ErrorKind::Unavailable) {
        return refusal.clone();
    }
    let reasons: Vec<String> = errors.iter().map(|error| error.message.clone()).collect();
    Error::unavailable(format!("no node of RabbitMQ can be used: {}", reasons.join("; ")))
        .coded(codes::BROKER_UNREACHABLE)
}

/// Every address, for messages that are about no single node.
impl fmt::Display for RabbitNodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn a_list_is_read_and_a_wrong_one_is_refused_without_its_password() {
        let nodes = RabbitNodes::parse("amqp://u:s3cret@h1:1,h2,h3:3/jobs").unwrap();
        assert_eq!(nodes.to_string(), "h1:1, h2:5672, h3:3");
        assert!(nodes.0.iter().all(|member| member.node.vhost == "jobs" && member.node.password == "s3cret"));
        for wrong in ["amqp://u:s3cret@h1,,h2", "amqp://u:s3cret@h1,h2:port"] {
            let error = RabbitNodes::parse(wrong).map(drop).unwrap_err();
            assert!(error.fields[0].field == "broker_url" && !error.message.contains("s3cret"), "{error}");
        }
    }

    #[tokio::test]
    async fn each_is_tried_and_the_error_names_each() {
        let free = async || TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let (one, other) = (free().await, free().await);
        let nodes = RabbitNodes::parse(&format!("amqp://{one},{other}")).unwrap();
        let error = nodes.connect(None, "test").await.map(drop).unwrap_err();
        let names = [one, other].map(|address| address.to_string());
        assert!(names.iter().all(|name| error.message.contains(name)), "{error}");
    }
}

//! The look-up of names of machines, behind a trait, so that a test can answer in the place of DNS.

use std::net::SocketAddr;

use async_trait::async_trait;
use paceline_core::error::codes;
use paceline_core::{Error, Result};

#[async_trait]
pub trait Resolver: Send + Sync {
    /// Every address that `host` has now, with `port`, in ascending order. An error is no news about the addresses: DNS may be away.
    async fn addresses(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>>;
}

/// The resolver of the system: /etc/hosts and DNS.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

#[async_trait]
impl Resolver for SystemResolver {
    async fn addresses(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>> {
        let found = tokio::net::lookup_host((host, port)).await;
        let mut found: Vec<_> = found.map_err(|error| unknown(host, &error.to_string()))?.collect();
        found.sort_unstable();
        found.dedup();
        if found.is_empty() { Err(unknown(host, "it has no address")) } else { Ok(found) }
    }
}

fn unknown(host: &str, why: &str) -> Error {
    Error::unavailable(format!("the name {host} does not resolve: {why}")).coded(codes::HOST_NOT_RESOLVED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_name_has_its_addresses_and_an_unknown_one_is_an_error_that_names_it() {
        let found = SystemResolver.addresses("localhost", 7).await.unwrap();
        assert!(found.iter().all(|address| address.ip().is_loopback() && address.port() == 7), "{found:?}");
        // Names under .invalid never exist (RFC 6761).
        let error = SystemResolver.addresses("producer.invalid", 7).await.unwrap_err();
        assert!(error.is_retryable() && error.message.contains("producer.invalid does not resolve"), "{error}");
    }
}

//! The client side of gRPC: channels to other roles, with the token of the mesh where one is set.

use std::time::Duration;

use paceline_core::error::codes;
use paceline_core::{Error, Result};
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};

use crate::auth::AddToken;

/// The longest that a call to another role may take to connect.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// A channel whose calls carry the token.
pub type Authorized = InterceptedService<Channel, AddToken>;

/// A channel to any role, with the token.
pub fn authorized(address: &str, token: Option<&str>, call_timeout: Option<Duration>) -> Result<Authorized> {
    Ok(InterceptedService::new(channel(address, call_timeout)?, AddToken::new(token)?))
}

/// A channel with the token to one machine of several that share the name in `origin`.
pub fn authorized_as(
    address: &str,
    origin: Option<&str>,
    token: Option<&str>,
    call_timeout: Option<Duration>,
) -> Result<Authorized> {
    Ok(InterceptedService::new(channel_as(address, origin, call_timeout)?, AddToken::new(token)?))
}

/// A channel to another role that connects when it is first used, and again whenever it was lost.
pub fn channel(address: &str, call_timeout: Option<Duration>) -> Result<Channel> {
    channel_as(address, None, call_timeout)
}

/// A channel to one machine of several that share the name in `origin`, by which calls go all the same.
pub fn channel_as(address: &str, origin: Option<&str>, call_timeout: Option<Duration>) -> Result<Channel> {
    let wrong = |address: &str, e: &dyn std::fmt::Display| {
        Error::invalid_field("address", format!("{address:?} is not an http:// address: {e}"))
            .coded(codes::ADDRESS_INVALID)
    };
    let mut endpoint = Endpoint::from_shared(address.to_owned()).map_err(|e| wrong(address, &e))?;
    if let Some(origin) = origin {
        endpoint = endpoint.origin(origin.parse().map_err(|e| wrong(origin, &e))?);
    }
    let endpoint = endpoint
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(Duration::from_secs(5))
        .keep_alive_timeout(Duration::from_secs(5));
    Ok(match call_timeout {
        Some(timeout) => endpoint.timeout(timeout).connect_lazy(),
        None => endpoint.connect_lazy(),
    })
}

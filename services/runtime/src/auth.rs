//! The right to call: on loopback anybody, elsewhere only callers with the token (or everybody, if that was said aloud).

use std::net::SocketAddr;

use paceline_core::error::codes;
use paceline_core::{Error, Result};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::{Request, Status};

use crate::status;

/// The shortest token that is accepted, in bytes.
pub const TOKEN_BYTES_MIN: usize = 16;

/// Checks a bind address against the token before anything listens.
///
/// Errors: INVALID_ARGUMENT for a token that is short or a default; FAILED_PRECONDITION for an address beyond loopback without a token.
pub fn check_bind(address: SocketAddr, token: Option<&str>, allow_anonymous: bool) -> Result<()> {
    if let Some(token) = token.filter(|token| token.len() < TOKEN_BYTES_MIN || token.starts_with("change")) {
        let found = token.len();
        return Err(Error::invalid_field(
            "token",
            format!(
                "PACELINE_TOKEN of {found} bytes is too short or a default; use at least {TOKEN_BYTES_MIN} random bytes, e.g. `openssl rand -hex 32`"
            ),
        )
        .coded(codes::TOKEN_WEAK));
    }
    if address.ip().is_loopback() || token.is_some() || allow_anonymous {
        return Ok(());
    }
    Err(Error::failed_precondition(format!(
        "{address} can be reached from other machines: set PACELINE_TOKEN, or say --allow-anonymous"
    ))
    .coded(codes::TOKEN_REQUIRED))
}

/// Server side: refuses calls without the token, when there is one. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct RequireToken(Option<std::sync::Arc<str>>);

impl RequireToken {
    pub fn new(token: Option<&str>) -> Self {
        Self(token.map(|token| format!("Bearer {token}").into()))
    }

    /// True if the value of the `authorization` header is good enough; without a token every value is.
    pub fn admits(&self, given: Option<&[u8]>) -> bool {
        let right = |expected: &str| given.is_some_and(|given| equal_in_constant_time(given, expected.as_bytes()));
        self.0.as_deref().is_none_or(right)
    }
}

impl Interceptor for RequireToken {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        let given = request.metadata().get("authorization").map(|value| value.as_bytes());
        match given {
            given if self.admits(given) => Ok(request),
            Some(_) => Err(status::unauthenticated("the token is wrong; set PACELINE_TOKEN to the server's")),
            None => {
                Err(status::unauthenticated("a token is required: metadata `authorization: Bearer <PACELINE_TOKEN>`"))
            }
        }
    }
}

/// Client side: adds the token to every call, when there is one.
#[derive(Debug, Clone, Default)]
pub struct AddToken(Option<MetadataValue<Ascii>>);

impl AddToken {
    pub fn new(token: Option<&str>) -> Result<Self> {
        let header = token.map(|token| format!("Bearer {token}").parse());
        header.transpose().map(Self).map_err(|_| {
            Error::invalid_field("token", "PACELINE_TOKEN must be printable ASCII").coded(codes::TOKEN_WEAK)
        })
    }
}

impl Interceptor for AddToken {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(header) = &self.0 {
            request.metadata_mut().insert("authorization", header.clone());
        }
        Ok(request)
    }
}

/// Takes as long for a wrong first byte as for a wrong last one.
fn equal_in_constant_time(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && std::hint::black_box(a.iter().zip(b).fold(0, |differing, (x, y)| differing | (x ^ y))) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_is_open_by_default() {
        let (inside, outside) = ("127.0.0.1:1".parse().unwrap(), "0.0.0.0:1".parse().unwrap());
        assert!(check_bind(inside, None, false).is_ok());
        assert!(check_bind(outside, None, false).unwrap_err().message.contains("PACELINE_TOKEN"));
        assert!(check_bind(outside, None, true).is_ok());
        assert!(check_bind(outside, Some("0123456789abcdef"), false).is_ok());
        assert!(check_bind(inside, Some("short"), false).is_err());
        assert!(check_bind(inside, Some("change_me_change_me"), false).is_err());
    }

    #[test]
    fn a_call_needs_the_token_exactly() {
        let mut server = RequireToken::new(Some("0123456789abcdef"));
        let with = |token| AddToken::new(token).unwrap().call(Request::new(())).unwrap();
        assert!(server.call(with(Some("0123456789abcdef"))).is_ok());
        assert!(server.call(with(Some("0123456789abcdeg"))).is_err());
        assert!(server.call(with(None)).is_err());
        assert!(RequireToken::new(None).call(with(None)).is_ok());
    }
}

//! Roles of different protocols do not work together: a role joins a mesh only if the mesh has its protocol, and a producer takes
//! calls only of its own.
//!
//! [`join`] decides at the start of a role, through the ledger, which every role has. [`SayProtocol`] and [`RequireProtocol`] are the
//! two ends of a call between scheduler and producer.

use paceline_core::error::codes;
use paceline_core::joined::joined;
use paceline_core::ports::Ledger;
use paceline_core::{Error, Result};
use paceline_proto::{PROTOCOL, PROTOCOL_METADATA, Protocol};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::{Request, Status};

use crate::auth::{AddToken, RequireToken};
use crate::status::to_status;

/// The page that tells an operator how a mesh gets another protocol.
const PAGE: &str = "docs/operations/upgrade.md";

/// The software of a role, as others hear of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Build {
    pub version: &'static str,
    pub protocol: Protocol,
}

impl Build {
    /// The build of this source.
    pub const THIS: Self = Self { version: env!("CARGO_PKG_VERSION"), protocol: PROTOCOL };
}

/// Joins `mesh`, whose ledger this is: the first role notes its protocol there, all others must have the same. Answers the ledger as the
/// role may use it. FAILED_PRECONDITION on a mesh of another protocol; trying again does not help.
pub async fn join(ledger: Ledger, mesh: &str, build: Build) -> Result<Ledger> {
    let found = ledger.mesh.protocol().await?;
    refuse_other(found, mesh, build)?;
    // Also where the mesh is from before protocols were noted, so that the next role need not guess.
    let noted = ledger.mesh.adopt_protocol(found, build.protocol.number()).await?;
    refuse_other(Some(noted), mesh, build)?;
    Ok(joined(ledger, build.protocol.number()))
}

/// The ledger of `mesh` for a command that repairs and does not stay: nothing is noted before the command restores something.
/// FAILED_PRECONDITION on a mesh of another protocol.
pub async fn visit(ledger: Ledger, mesh: &str, build: Build) -> Result<Ledger> {
    refuse_other(ledger.mesh.protocol().await?, mesh, build)?;
    Ok(joined(ledger, build.protocol.number()))
}

fn refuse_other(found: Option<u32>, mesh: &str, build: Build) -> Result<()> {
    let Build { version, protocol } = build;
    let Some(noted) = found.filter(|noted| *noted != protocol.number()) else { return Ok(()) };
    let what_to_do = match noted > protocol.number() {
        true => "start the version that the mesh runs, or set another PACELINE_NAMESPACE",
        false => {
            "let its runs end, stop its roles and take its protocol over with `paceline doctor --adopt-protocol`, or set another PACELINE_NAMESPACE"
        }
    };
    Err(Error::failed_precondition(format!(
        "mesh {mesh:?} has protocol {noted}, and this paceline {version} has protocol {protocol}: {what_to_do} ({PAGE})"
    ))
    .coded(codes::PROTOCOL_DIFFERS))
}

/// Client side of a call to a producer: says the protocol, and adds the token.
#[derive(Debug, Clone)]
pub struct SayProtocol {
    protocol: MetadataValue<Ascii>,
    token: AddToken,
}

impl SayProtocol {
    pub fn new(protocol: Protocol, token: AddToken) -> Self {
        Self { protocol: protocol.number().into(), token }
    }
}

impl Interceptor for SayProtocol {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        let mut request = self.token.call(request)?;
        request.metadata_mut().insert(PROTOCOL_METADATA, self.protocol.clone());
        Ok(request)
    }
}

/// Server side: refuses calls without the token, and then those of another protocol.
#[derive(Debug, Clone)]
pub struct RequireProtocol {
    build: Build,
    token: RequireToken,
}

impl RequireProtocol {
    pub fn new(build: Build, token: RequireToken) -> Self {
        Self { build, token }
    }
}

impl Interceptor for RequireProtocol {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        let request = self.token.call(request)?;
        let said = request.metadata().get(PROTOCOL_METADATA).map(MetadataValue::to_str);
        let said = match said {
            None => Some(Protocol::FIRST),
            Some(text) => text.ok().and_then(Protocol::parse),
        };
        let Build { version, protocol } = self.build;
        match said {
            Some(said) if said == protocol => Ok(request),
            Some(said) => Err(to_status(Error::failed_precondition(format!(
                "the producer (paceline {version}) has protocol {protocol}, and the scheduler has protocol {said}: give both one version \
                 ({PAGE})"
            ))
            .coded(codes::PRODUCER_PROTOCOL_DIFFERS))),
            None => Err(to_status(Error::invalid_field(
                PROTOCOL_METADATA,
                format!("must be the number of a protocol, such as {protocol}"),
            )
            .coded(codes::PROTOCOL_NUMBER_INVALID))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic::Code;

    const OLD: Build = Build { version: "1.0.0", protocol: Protocol::new(1) };
    const NEW: Build = Build { version: "2.0.0", protocol: Protocol::new(2) };

    fn call(from: Build, to: Build, token: Option<&str>) -> Result<(), Status> {
        let secret = "0123456789abcdef";
        let mut client = SayProtocol::new(from.protocol, AddToken::new(token).unwrap());
        let mut server = RequireProtocol::new(to, RequireToken::new(Some(secret)));
        server.call(client.call(Request::new(())).unwrap()).map(drop)
    }

    #[test]
    fn a_call_passes_between_equals_and_is_refused_with_both_versions_otherwise() {
        let token = Some("0123456789abcdef");
        for build in [OLD, NEW] {
            call(build, build, token).unwrap();
        }
        for (from, to) in [(OLD, NEW), (NEW, OLD)] {
            let refused = call(from, to, token).unwrap_err();
            assert_eq!(refused.code(), Code::FailedPrecondition);
            let words = [format!("paceline {}", to.version), format!("scheduler has protocol {}", from.protocol)];
            assert!(words.iter().all(|words| refused.message().contains(words)), "{}", refused.message());
        }
        assert_eq!(call(OLD, OLD, None).unwrap_err().code(), Code::Unauthenticated);
    }

    #[test]
    fn a_call_that_says_no_protocol_is_of_the_first_and_nonsense_is_refused() {
        let server = |build| RequireProtocol::new(build, RequireToken::default());
        server(OLD).call(Request::new(())).unwrap();
        server(NEW).call(Request::new(())).unwrap_err();
        let mut request = Request::new(());
        request.metadata_mut().insert(PROTOCOL_METADATA, "x".parse().unwrap());
        assert_eq!(server(OLD).call(request).unwrap_err().code(), Code::InvalidArgument);
    }
}

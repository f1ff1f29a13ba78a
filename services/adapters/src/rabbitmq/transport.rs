//! The socket below: TCP, or TLS by rustls with the system's certificates and those of a CA file.

use std::path::Path;
use std::sync::Arc;

use paceline_core::error::codes;
use paceline_core::{Error, Result};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::endpoint::Endpoint;

/// A socket that is ready for AMQP's first byte.
pub type Transport = Box<dyn Bytes>;

pub trait Bytes: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Bytes for T {}

/// Connects to the broker, with TLS if its URL says so.
pub async fn connect(endpoint: &Endpoint, ca_file: Option<&Path>) -> Result<Transport> {
    // Before the network: a wrong file is the same mistake whether the broker is there or not.
    let tls = endpoint.is_tls.then(|| connector(ca_file)).transpose()?;
    let address = (endpoint.host.as_str(), endpoint.port);
    let socket = TcpStream::connect(address).await;
    let socket = socket.map_err(|e| {
        Error::unavailable(format!("cannot reach RabbitMQ at {endpoint}: {e}; is it running?"))
            .coded(codes::BROKER_UNREACHABLE)
    })?;
    // Writes are gathered already: waiting for more would only delay them.
    socket.set_nodelay(true).map_err(|e| {
        Error::unavailable(format!("cannot set up the connection to {endpoint}: {e}")).coded(codes::BROKER_UNREACHABLE)
    })?;
    let Some(tls) = tls else { return Ok(Box::new(socket)) };
    let name = ServerName::try_from(endpoint.host.clone());
    let name = name.map_err(|_| {
        Error::invalid_field("broker_url", format!("{:?} is not a name for TLS", endpoint.host))
            .coded(codes::SERVICE_URL_INVALID)
    })?;
    let socket = tls.connect(name, socket).await.map_err(|e| no_tls(endpoint, &e))?;
    Ok(Box::new(socket))
}

fn no_tls(endpoint: &Endpoint, error: &std::io::Error) -> Error {
    let advice = "check that the port speaks TLS and that its certificate is signed by a trusted CA or by the CA file";
    // Anything else is the network, or a broker that is just stopping.
    let known = match error.kind() {
        std::io::ErrorKind::InvalidData => codes::BROKER_CERTIFICATE_REFUSED,
        _ => codes::BROKER_UNREACHABLE,
    };
    Error::new(known.kind, format!("no TLS with RabbitMQ at {endpoint}: {error}; {advice}")).coded(known)
}

fn connector(ca_file: Option<&Path>) -> Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    // Without usable system certificates the CA file may still be enough; the handshake says so if it is not.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(path) = ca_file {
        let wrong = |reason: String| {
            Error::invalid_field("ca_file", format!("{}: {reason}", path.display())).coded(codes::CA_FILE_UNUSABLE)
        };
        let certificates = CertificateDer::pem_file_iter(path).map_err(|e| wrong(e.to_string()))?;
        let mut count = 0;
        for certificate in certificates {
            count += 1;
            let certificate = certificate.map_err(|e| wrong(format!("not a PEM certificate: {e}")))?;
            roots.add(certificate).map_err(|e| wrong(format!("not a usable certificate: {e}")))?;
        }
        if count == 0 {
            return Err(wrong("holds no certificate".into()));
        }
    }
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

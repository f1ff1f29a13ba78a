//! A role's admin port: `/livez` for who would restart it, `/readyz` for who would send it work, over HTTP.
//!
//! The port is bound by the rule of gRPC's: beyond loopback only with a token or if that was said aloud. Probes carry no
//! token, so both paths answer without it; but then, beyond loopback, `/readyz` says only whether, not why.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use paceline_core::{Error, Result};
use tokio::net::TcpListener;

use crate::auth::{RequireToken, check_bind};
use crate::grpc;
use crate::readiness::Readiness;

/// The default ports.
pub const SCHEDULER_PORT: u16 = 9464;
pub const PRODUCER_PORT: u16 = 9465;
pub const WORKER_PORT: u16 = 9466;
/// How many ports after the default one are tried when it is taken, as by another worker on this machine.
const PORTS_TRIED: u16 = 100;

/// Where the admin port shall be: `off`, an address, a host (with the role's default port), or nothing said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AdminAt {
    #[default]
    Default,
    Off,
    Host(IpAddr),
    Address(SocketAddr),
}

impl FromStr for AdminAt {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let host = || text.parse().map(Self::Host);
        match text {
            "off" => Ok(Self::Off),
            _ => text.parse().map(Self::Address).or_else(|_| host()).map_err(|_| {
                "must be HOST:PORT such as 127.0.0.1:9464, a HOST with the role's own port, or off".to_owned()
            }),
        }
    }
}

impl AdminAt {
    /// Binds, or not when it is off. An address that was chosen is that one or an error; a default port that is taken is
    /// followed by the next free one.
    pub async fn bind(self, port: u16, token: Option<&str>, allow_anonymous: bool) -> Result<Option<TcpListener>> {
        let (host, last) = match self {
            Self::Off => return Ok(None),
            Self::Address(address) => (address, address.port()),
            Self::Default => ((Ipv4Addr::LOCALHOST, port).into(), port + PORTS_TRIED),
            Self::Host(host) => ((host, port).into(), port + PORTS_TRIED),
        };
        check_bind(host, token, allow_anonymous)?;
        for port in host.port()..last {
            if let Ok(listener) = TcpListener::bind((host.ip(), port)).await {
                return Ok(Some(listener));
            }
        }
        grpc::bind((host.ip(), last).into())
            .await
            .map(Some)
            .map_err(|error| Error { message: format!("admin port: {}, with --admin", error.message), ..error })
    }
}

#[derive(Clone)]
struct Shown {
    readiness: Readiness,
    /// Who may read the reasons.
    token: RequireToken,
}

/// Serves beside `role`, until the role ends: a role that stops is still seen to live.
pub async fn beside<T>(
    listener: Option<TcpListener>,
    readiness: Readiness,
    token: Option<&str>,
    role: impl Future<Output = Result<T>>,
) -> Result<T> {
    let Some(listener) = listener else { return role.await };
    tokio::select! {
        biased;
        ended = role => ended,
        broken = serve(listener, readiness, token) => Err(broken),
    }
}

async fn serve(listener: TcpListener, readiness: Readiness, token: Option<&str>) -> Error {
    let is_inside = listener.local_addr().is_ok_and(|address| address.ip().is_loopback());
    let token = RequireToken::new(token.filter(|_| !is_inside));
    let routes = Router::new().route("/livez", get(|| async { "ok" })).route("/readyz", get(readyz));
    let serving = axum::serve(listener, routes.with_state(Shown { readiness, token }));
    let ended = serving.await;
    Error::unavailable(format!("the admin port ended: {ended:?}"))
}

async fn readyz(State(shown): State<Shown>, headers: HeaderMap) -> Response {
    let given = headers.get(header::AUTHORIZATION).map(|value| value.as_bytes());
    let is_ready = shown.readiness.is_ready();
    let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = if shown.token.admits(given) {
        serde_json::to_string(&shown.readiness.report()).unwrap_or_default()
    } else {
        format!(r#"{{"ready":{is_ready}}}"#)
    };
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    (status, headers, body + "\n").into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;

    /// (status line, body) of a GET.
    async fn ask(address: SocketAddr, path: &str, more: &str) -> (String, String) {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{more}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.lines().next().unwrap().to_owned(), body.trim().to_owned())
    }

    async fn with_server(host: &str, token: Option<&str>, test: impl AsyncFnOnce(SocketAddr, Readiness) -> Result<()>) {
        let at: AdminAt = format!("{host}:0").parse().unwrap();
        let listener = at.bind(0, token, false).await.unwrap();
        let address = listener.as_ref().unwrap().local_addr().unwrap();
        let readiness = Readiness::new("worker", "w-1");
        beside(listener, readiness.clone(), token, test(address, readiness)).await.unwrap();
    }

    #[tokio::test]
    async fn live_while_it_runs_and_ready_only_when_it_is_with_the_reason() {
        with_server("127.0.0.1", None, async |address, readiness| {
            readiness.fact("connections_rebuilt", || 3_u64);
            readiness.condition("broker").set_failed("connection refused");
            assert_eq!(ask(address, "/livez", "").await, ("HTTP/1.1 200 OK".into(), "ok".into()));
            let (status, body) = ask(address, "/readyz", "").await;
            let report: serde_json::Value = serde_json::from_str(&body).unwrap();
            assert!(status.contains("503"), "{status}");
            assert_eq!(
                (&report["ready"], &report["role"], &report["id"]),
                (&false.into(), &"worker".into(), &"w-1".into())
            );
            assert_eq!(report["checks"][0]["why"], "connection refused");
            assert_eq!(report["connections_rebuilt"], 3);
            readiness.condition("broker").set_ok();
            assert!(ask(address, "/readyz", "").await.0.contains("200"));
            Ok(())
        })
        .await;
    }

    #[tokio::test]
    async fn beyond_loopback_the_reasons_need_the_token_and_the_probe_does_not() {
        let token = "0123456789abcdef";
        with_server("0.0.0.0", Some(token), async |address, readiness| {
            readiness.condition("broker").set_failed("amqp://inner-host refused");
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, address.port()));
            let (status, body) = ask(address, "/readyz", "").await;
            assert!(status.contains("503") && body == r#"{"ready":false}"#, "{body}");
            let header = format!("authorization: Bearer {token}\r\n");
            assert!(ask(address, "/readyz", &header).await.1.contains("inner-host"));
            Ok(())
        })
        .await;
        let open: AdminAt = "0.0.0.0:0".parse().unwrap();
        assert!(open.bind(0, None, false).await.unwrap_err().message.contains("PACELINE_TOKEN"));
    }

    #[tokio::test]
    async fn a_taken_default_port_is_followed_by_the_next_and_a_chosen_one_is_an_error() {
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let port = taken.port().min(u16::MAX - PORTS_TRIED);
        let first = AdminAt::Default.bind(port, None, false).await.unwrap().unwrap().local_addr().unwrap();
        let held = TcpListener::bind(first).await.unwrap();
        let next = AdminAt::Default.bind(first.port(), None, false).await.unwrap().unwrap();
        assert_ne!(next.local_addr().unwrap().port(), first.port());
        let chosen = AdminAt::Address(held.local_addr().unwrap());
        let error = chosen.bind(port, None, false).await.unwrap_err();
        assert!(error.message.contains("admin port: cannot listen on 127.0.0.1:"), "{error}");
        assert!(AdminAt::Off.bind(port, None, false).await.unwrap().is_none());
    }

    #[test]
    fn places_are_read_and_nonsense_is_refused() {
        assert_eq!("off".parse(), Ok(AdminAt::Off));
        assert_eq!("0.0.0.0".parse(), Ok(AdminAt::Host([0, 0, 0, 0].into())));
        assert_eq!("[::1]:7".parse(), Ok(AdminAt::Address("[::1]:7".parse().unwrap())));
        assert!("here".parse::<AdminAt>().is_err());
    }
}

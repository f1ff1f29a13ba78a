//! A role's admin port: `/livez` for who would restart it, `/readyz` for who would send it work, `/metrics` for Prometheus, and `/log`,
//! which shows what is logged and changes it, over HTTP.
//!
//! The port is bound by the rule of gRPC's: beyond loopback only with a token or if that was said aloud. Probes carry no
//! token, so `/livez` and `/readyz` answer without it; but then, beyond loopback, `/readyz` says only whether, not why. There
//! `/metrics` and `/log` need it. Changing the log needs it everywhere, if there is one.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use paceline_core::{Error, ErrorKind, Result};
use tokio::net::TcpListener;

use crate::auth::{RequireToken, check_bind};
use crate::grpc;
use crate::readiness::Readiness;
use crate::telemetry::LogFilter;
use crate::telemetry::log::FILTER_BYTES_MAX;
use crate::telemetry::metrics::{self, Metrics};

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

/// The things that the port shows.
#[derive(Clone)]
pub struct Shown {
    pub readiness: Readiness,
    pub metrics: Metrics,
    pub log: LogFilter,
}

#[derive(Clone)]
struct Served {
    shown: Shown,
    /// Lets read reasons, metrics and the log's filter.
    reading: RequireToken,
    /// Lets change something.
    changing: RequireToken,
    may_be_changed: bool,
}

/// Serves beside `role`, until the role ends: a role that stops is still seen to live.
pub async fn beside<T>(
    listener: Option<TcpListener>,
    shown: Shown,
    token: Option<&str>,
    role: impl Future<Output = Result<T>>,
) -> Result<T> {
    let Some(listener) = listener else { return role.await };
    tokio::select! {
        biased;
        ended = role => ended,
        broken = serve(listener, shown, token) => Err(broken),
    }
}

async fn serve(listener: TcpListener, shown: Shown, token: Option<&str>) -> Error {
    let is_inside = listener.local_addr().is_ok_and(|address| address.ip().is_loopback());
    let served = Served {
        shown,
        reading: RequireToken::new(token.filter(|_| !is_inside)),
        changing: RequireToken::new(token),
        // Whoever lets everybody look has not said that everybody may change something.
        may_be_changed: is_inside || token.is_some(),
    };
    let routes = Router::new()
        .route("/livez", get(|| async { "ok" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/log", get(log).put(change_log))
        .layer(DefaultBodyLimit::max(FILTER_BYTES_MAX));
    let ended = axum::serve(listener, routes.with_state(served)).await;
    Error::unavailable(format!("the admin port ended: {ended:?}"))
}

fn given(headers: &HeaderMap) -> Option<&[u8]> {
    headers.get(header::AUTHORIZATION).map(|value| value.as_bytes())
}

async fn readyz(State(served): State<Served>, headers: HeaderMap) -> Response {
    let is_ready = served.shown.readiness.is_ready();
    let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = if served.reading.admits(given(&headers)) {
        serde_json::to_string(&served.shown.readiness.report()).unwrap_or_default()
    } else {
        format!(r#"{{"ready":{is_ready}}}"#)
    };
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    (status, headers, body + "\n").into_response()
}

async fn metrics(State(served): State<Served>, headers: HeaderMap) -> Response {
    if !served.reading.admits(given(&headers)) {
        return refused(&headers);
    }
    let headers = [(header::CONTENT_TYPE, metrics::CONTENT_TYPE), (header::CACHE_CONTROL, "no-store")];
    // Not on the thread of a worker's jobs: it reads files, and whoever asks decides how often.
    match tokio::task::spawn_blocking(move || served.shown.metrics.text()).await {
        Ok(text) => (headers, text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn log(State(served): State<Served>, headers: HeaderMap) -> Response {
    if !served.reading.admits(given(&headers)) {
        return refused(&headers);
    }
    (served.shown.log.text() + "\n").into_response()
}

async fn change_log(State(served): State<Served>, headers: HeaderMap, filter: String) -> Response {
    if !served.changing.admits(given(&headers)) {
        return refused(&headers);
    }
    if !served.may_be_changed {
        return (
            StatusCode::FORBIDDEN,
            "from other machines the log can be changed only with a token: set PACELINE_TOKEN\n",
        )
            .into_response();
    }
    match served.shown.log.change(filter.trim()) {
        Ok(()) => (served.shown.log.text() + "\n").into_response(),
        Err(error) if error.kind == ErrorKind::InvalidArgument => {
            (StatusCode::BAD_REQUEST, error.message + "\n").into_response()
        }
        Err(error) => (StatusCode::CONFLICT, error.message + "\n").into_response(),
    }
}

fn refused(headers: &HeaderMap) -> Response {
    let why = match given(headers) {
        Some(_) => "the token is wrong; it is the role's PACELINE_TOKEN\n",
        None => "a token is required: header `Authorization: Bearer <PACELINE_TOKEN>`\n",
    };
    (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Bearer")], why).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use paceline_core::clock::SystemClock;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;

    /// (status line, body) of a GET.
    async fn ask(address: SocketAddr, path: &str, more: &str) -> (String, String) {
        call(address, &format!("GET {path}"), more, "").await
    }

    async fn call(address: SocketAddr, what: &str, more: &str, body: &str) -> (String, String) {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let length = body.len();
        let request =
            format!("{what} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n{more}\r\n{body}");
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
        let metrics = Metrics::new("worker", SystemClock::shared());
        metrics.show_role(&readiness);
        let shown = Shown { readiness: readiness.clone(), metrics, log: LogFilter::default() };
        beside(listener, shown, token, test(address, readiness)).await.unwrap();
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
    async fn metrics_are_open_inside_and_need_the_token_beyond_loopback() {
        let token = "0123456789abcdef";
        with_server("127.0.0.1", Some(token), async |address, readiness| {
            readiness.condition("broker").set_failed("away");
            let (status, body) = ask(address, "/metrics", "").await;
            assert!(status.contains("200") && body.ends_with("# EOF"), "{status} {body}");
            assert!(body.contains("paceline_condition_ok{role=\"worker\",condition=\"broker\"} 0\n"), "{body}");
            Ok(())
        })
        .await;
        with_server("0.0.0.0", Some(token), async |address, _| {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, address.port()));
            let (status, body) = ask(address, "/metrics", "").await;
            assert!(status.contains("401") && body.starts_with("a token is required"), "{status} {body}");
            let (status, body) = ask(address, "/metrics", "authorization: Bearer wrong\r\n").await;
            assert!(status.contains("401") && body.starts_with("the token is wrong"), "{status} {body}");
            let right = ask(address, "/metrics", &format!("authorization: Bearer {token}\r\n")).await;
            assert!(right.0.contains("200"), "{}", right.0);
            Ok(())
        })
        .await;
    }

    #[tokio::test]
    async fn changing_the_log_needs_the_token_everywhere_and_a_filter() {
        let token = "0123456789abcdef";
        with_server("127.0.0.1", Some(token), async |address, _| {
            let right = format!("authorization: Bearer {token}\r\n");
            assert!(ask(address, "/log", "").await.0.contains("200"));
            assert!(call(address, "PUT /log", "", "debug").await.0.contains("401"));
            let (status, body) = call(address, "PUT /log", &right, "inof").await;
            assert!(status.contains("400") && body.contains("\"inof\" is no level"), "{status} {body}");
            // This test has no log of its own.
            assert!(call(address, "PUT /log", &right, "debug").await.0.contains("409"));
            let long = "x".repeat(FILTER_BYTES_MAX + 1);
            assert!(call(address, "PUT /log", &right, &long).await.0.contains("413"));
            Ok(())
        })
        .await;
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

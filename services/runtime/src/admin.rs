//! A role's admin port, over HTTP: `/livez` for whoever would restart the role, `/readyz` for whoever would send it work, `/metrics` for
//! Prometheus, and `/log`, which shows the filter of the log and changes it.
//!
//! The port is bound by the rule of gRPC's: beyond loopback only with a token or if that was said aloud. Probes carry no
//! token, so `/livez` and `/readyz` answer without it; beyond loopback `/readyz` then says only whether, not why. There
//! `/metrics` and `/log` need the token. Changing the log needs the token everywhere, if there is one.

mod place;
#[cfg(test)]
mod tests;

use axum::Router;
use axum::extract::rejection::StringRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use paceline_core::error::codes;
use paceline_core::{Error, ErrorKind, Result};
use tokio::net::TcpListener;

use crate::auth::RequireToken;
use crate::readiness::Readiness;
use crate::telemetry::LogFilter;
use crate::telemetry::log::FILTER_BYTES_MAX;
use crate::telemetry::metrics::{self, Metrics};
pub use place::{AdminAt, PRODUCER_PORT, SCHEDULER_PORT, WORKER_PORT};

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
    /// Guards reasons, metrics and the log's filter.
    reading: RequireToken,
    /// Guards changes.
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
    Error::unavailable(format!("the admin port ended: {ended:?}")).coded(codes::SERVER_ENDED)
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
        Err(ended) => {
            let error = Error::internal(format!("the metrics cannot be written: {ended}"));
            (StatusCode::INTERNAL_SERVER_ERROR, line(&error)).into_response()
        }
    }
}

async fn log(State(served): State<Served>, headers: HeaderMap) -> Response {
    if !served.reading.admits(given(&headers)) {
        return refused(&headers);
    }
    (served.shown.log.text() + "\n").into_response()
}

async fn change_log(
    State(served): State<Served>,
    headers: HeaderMap,
    filter: Result<String, StringRejection>,
) -> Response {
    if !served.changing.admits(given(&headers)) {
        return refused(&headers);
    }
    if !served.may_be_changed {
        let why = "from other machines the log can be changed only with a token: set PACELINE_TOKEN";
        let error = Error::failed_precondition(why).coded(codes::TOKEN_REQUIRED);
        return (StatusCode::FORBIDDEN, line(&error)).into_response();
    }
    let filter = match filter {
        Ok(filter) => filter,
        Err(rejected) => return not_a_filter(&rejected),
    };
    match served.shown.log.change(filter.trim()) {
        Ok(()) => (served.shown.log.text() + "\n").into_response(),
        Err(error) if error.kind == ErrorKind::InvalidArgument => {
            (StatusCode::BAD_REQUEST, line(&error)).into_response()
        }
        Err(error) => (StatusCode::CONFLICT, line(&error)).into_response(),
    }
}

/// The answer to a body that is too long, or that is no text.
fn not_a_filter(rejected: &StringRejection) -> Response {
    let error = Error::invalid_field("filter", rejected.body_text()).coded(codes::LOG_FILTER_INVALID);
    (rejected.status(), line(&error)).into_response()
}

/// An error for a person with curl, who looks its code up with `paceline explain`.
fn line(error: &Error) -> String {
    format!("{} {}\n", error.code, error.message)
}

fn refused(headers: &HeaderMap) -> Response {
    let why = match given(headers) {
        Some(_) => "the token is wrong; it is the role's PACELINE_TOKEN",
        None => "a token is required: header `Authorization: Bearer <PACELINE_TOKEN>`",
    };
    let why = line(&Error::internal(why).coded(codes::TOKEN_REFUSED));
    (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Bearer")], why).into_response()
}

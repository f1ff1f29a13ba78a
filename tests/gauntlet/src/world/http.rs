//! One request to one address, past every gate: the gauntlet's own questions to a service.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// A node that is frozen accepts a connection and says nothing.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// Guest and guest, as RabbitMQ makes it for its own machine.
const RABBITMQ_LOGIN: &str = "Basic Z3Vlc3Q6Z3Vlc3Q=";

pub async fn post(address: SocketAddr, path: &str, body: &Value) -> anyhow::Result<Value> {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    send(address, path, Request::post(path), body).await
}

pub async fn get(address: SocketAddr, path: &str) -> anyhow::Result<Value> {
    send(address, path, Request::get(path), String::new()).await
}

async fn send(
    address: SocketAddr,
    path: &str,
    request: hyper::http::request::Builder,
    body: String,
) -> anyhow::Result<Value> {
    let asked = async {
        let stream = TcpStream::connect(address).await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let mut carrying = JoinSet::new();
        carrying.spawn(async move { drop(connection.await) });
        let request = request
            .header("Host", "the.gauntlet")
            .header("Content-Type", "application/json")
            .header("Authorization", RABBITMQ_LOGIN)
            .body(Full::new(Bytes::from(body)))?;
        let answer = sender.send_request(request).await?;
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        ensure!(status.is_success(), "{address} answers {status} to {path}: {}", String::from_utf8_lossy(&body));
        anyhow::Ok(serde_json::from_slice(&body)?)
    };
    tokio::time::timeout(ANSWER_MAX, asked).await.with_context(|| format!("{address} does not answer {path}"))?
}

//! The admin port as a caller sees it, inside and beyond loopback.

use std::net::{Ipv4Addr, SocketAddr};

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
    let listener = at.bind(0, token, token.is_none()).await.unwrap();
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
        assert!(status.contains("401") && body.starts_with("PL-7012 a token is required"), "{status} {body}");
        let (status, body) = ask(address, "/metrics", "authorization: Bearer wrong\r\n").await;
        assert!(status.contains("401") && body.starts_with("PL-7012 the token is wrong"), "{status} {body}");
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
        assert!(
            status.contains("400") && body.starts_with("PL-2006 ") && body.contains("\"inof\" is no level"),
            "{status} {body}"
        );
        // This test has no log of its own.
        assert!(call(address, "PUT /log", &right, "debug").await.0.contains("409"));
        let long = "x".repeat(FILTER_BYTES_MAX + 1);
        let (status, body) = call(address, "PUT /log", &right, &long).await;
        assert!(status.contains("413") && body.starts_with("PL-2006 "), "{status} {body}");
        Ok(())
    })
    .await;
    with_server("0.0.0.0", None, async |address, _| {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, address.port()));
        let (status, body) = call(address, "PUT /log", "", "debug").await;
        assert!(status.contains("403") && body.starts_with("PL-7011 "), "{status} {body}");
        Ok(())
    })
    .await;
}

//! `paceline health` against servers that answer as a role does, as something else does, or not at all.

use paceline_runtime::admin::AdminAt;
use paceline_runtime::lifecycle::Tasks;
use paceline_runtime::settings::Settings;
use reqwest::Client;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::address::{AdminAddress, places};
use super::ask::{Answer, TIMEOUT, ask};
use super::judge::judge;

/// Answers one connection with `answer` and closes it; with nothing, it keeps silent.
async fn server(answer: &'static str) -> AdminAddress {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let place = listener.local_addr().unwrap().to_string().parse().unwrap();
    Tasks::detached(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 1024];
        let _read = stream.read(&mut request).await.unwrap();
        if answer.is_empty() {
            std::future::pending::<()>().await;
        }
        stream.write_all(answer.as_bytes()).await.unwrap();
    });
    place
}

async fn judged(place: AdminAddress) -> (bool, String) {
    let client = Client::builder().no_proxy().build().unwrap();
    judge(&[ask(&client, &place, &Settings::default()).await])
}

#[tokio::test]
async fn a_role_is_understood_and_whatever_else_answers_is_not_ready() {
    let ready =
        "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{\"ready\":true,\"role\":\"worker\",\"id\":\"w-1\",\"checks\":[]}";
    assert_eq!(judged(server(ready).await).await, (true, "worker w-1 is ready".to_owned()));
    let red = "HTTP/1.1 503 X\r\nconnection: close\r\n\r\n{\"ready\":false,\"role\":\"dev\",\"id\":\"d\",\"checks\":[{\"name\":\"a\",\"ok\":true}],\
               \"roles\":[{\"role\":\"worker\",\"checks\":[{\"name\":\"broker\",\"ok\":false,\"why\":\"two\\nlines\"}]}]}";
    assert_eq!(judged(server(red).await).await, (false, "dev d is not ready: worker broker: two lines".to_owned()));
    let closed = "HTTP/1.1 503 X\r\nconnection: close\r\n\r\n{\"ready\":false}";
    assert!(judged(server(closed).await).await.1.contains("PACELINE_TOKEN"));
    let other = "HTTP/1.1 404 Not Found\r\nconnection: close\r\n\r\nnothing here";
    assert!(judged(server(other).await).await.1.contains("is no admin port of Paceline: it answers 404"));
    let no_http = judged(server("220 mail.example.org\r\n").await).await;
    assert!(!no_http.0 && no_http.1.contains("does not speak HTTP"), "{}", no_http.1);
}

#[test]
fn a_port_that_is_off_is_not_ready_and_the_line_says_its_code() {
    let off = places(AdminAt::Off).unwrap_err();
    let (is_ready, why) = judge(&[Answer::not_asked(&off)]);
    assert!(!is_ready && why.starts_with("PL-2009 the admin port is off"), "{why}");
}

#[tokio::test]
async fn silence_and_absence_are_told_apart_in_bounded_time() {
    let silent = server("").await;
    let (is_ready, why) = tokio::time::timeout(TIMEOUT * 5, judged(silent)).await.unwrap();
    assert!(!is_ready && why.contains("does not answer within 2 s"), "{why}");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let free = listener.local_addr().unwrap().to_string().parse::<AdminAddress>().unwrap();
    drop(listener);
    let (is_ready, why) = judged(free).await;
    assert!(!is_ready && why.starts_with("no role listens at 127.0.0.1:"), "{why}");
}

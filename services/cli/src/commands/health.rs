//! `paceline health`: asks a role's admin port whether it is ready, in bounded time and without any other program: the health check
//! of a container image.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use futures::future::join_all;
use paceline_core::{Error, Result};
use paceline_runtime::admin::{AdminAt, PRODUCER_PORT, SCHEDULER_PORT, WORKER_PORT};
use paceline_runtime::settings::Settings;
use reqwest::header::AUTHORIZATION;
use reqwest::{Client, StatusCode, Url};
use serde_json::{Value, json};

use super::Context;
use crate::exit::Exit;

/// The most that all of it may take.
const TIMEOUT: Duration = Duration::from_secs(2);
/// The longest answer that is read.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;
/// Where a role is that chose no port.
const DEFAULT_PORTS: [u16; 3] = [SCHEDULER_PORT, PRODUCER_PORT, WORKER_PORT];

/// Ask a role's admin port whether it is ready: exit code 0, or 1 with the reason, within 2 seconds
///
/// Without ADDRESS the role that PACELINE_ADMIN (or `admin` of the settings file) places is asked: 0.0.0.0:9464 is asked at
/// 127.0.0.1:9464. Where no port is set either, 9464, 9465 and 9466 are tried; at least one role must answer, and all that answer must
/// be ready. Where PACELINE_TOKEN is set, it is sent, because a port beyond loopback tells its reasons only to who has it.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The admin port, as the role printed it at its start
    #[arg(value_name = "HOST:PORT", value_parser = Place::from_str)]
    address: Option<Place>,
}

/// The address of one admin port, as people write it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place(Url);

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "must be HOST:PORT, or http://HOST:PORT as the role printed it".to_owned();
        let with_scheme = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        let url = Url::parse(&with_scheme).map_err(|_| wrong())?;
        let is_bare = url.path() == "/" && url.query().is_none() && url.username().is_empty();
        // A URL does not keep a port that is its scheme's own, so 80 has to be looked for in the text.
        let has_port = url.port().is_some() || with_scheme.trim_end_matches('/').ends_with(":80");
        if url.scheme() != "http" || url.host().is_none() || !has_port || !is_bare {
            return Err(wrong());
        }
        if url.port() == Some(0) {
            return Err("port 0 stands for a free one, which the role printed at its start: name that".to_owned());
        }
        Ok(Self(url))
    }
}

/// The outcome of asking one place.
#[derive(Debug, PartialEq)]
enum Answer {
    /// A role, and what it says of itself.
    Role { is_ready: bool, report: Value },
    /// Nobody, or nobody of ours.
    None(String),
}

pub async fn execute(arguments: Arguments, context: &Context) -> anyhow::Result<Exit> {
    let settings = &context.settings;
    let places = match arguments.address {
        Some(place) => Ok(vec![place]),
        None => places(settings.admin_at().map_err(|wrong| Error::invalid_field("admin", wrong))?),
    };
    let answers = match places {
        Ok(places) => ask_all(&places, settings).await?,
        Err(error) => vec![Answer::None(error.message)],
    };
    let (is_ready, line) = judge(&answers);
    let said: Vec<_> = answers.iter().filter_map(Answer::report).collect();
    if context.output.json {
        context
            .output
            .data(&json!({ "ready": is_ready, "why": (!is_ready).then_some(&line), "roles": said }), |_| {
                String::new()
            })?;
    } else if is_ready {
        context.output.data(&line, String::clone)?;
    } else {
        context.output.talk(&line);
    }
    Ok(if is_ready { Exit::Done } else { Exit::No })
}

/// Where a role listens that was started with this setting, seen from the same machine.
fn places(at: AdminAt) -> Result<Vec<Place>> {
    let place = |host: IpAddr, port: u16| {
        let host = match host {
            IpAddr::V4(host) if host.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(host) if host.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            host => host,
        };
        let address = SocketAddr::new(host, port).to_string();
        address.parse::<Place>().map_err(|wrong| Error::invalid_field("admin", wrong))
    };
    match at {
        AdminAt::Off => Err(Error::failed_precondition(
            "the admin port is off (PACELINE_ADMIN, or admin of the settings file), so nobody can be asked; set HOST:PORT",
        )),
        AdminAt::Address(address) => Ok(vec![place(address.ip(), address.port())?]),
        AdminAt::Host(host) => DEFAULT_PORTS.into_iter().map(|port| place(host, port)).collect(),
        AdminAt::Default => DEFAULT_PORTS.into_iter().map(|port| place(Ipv4Addr::LOCALHOST.into(), port)).collect(),
    }
}

async fn ask_all(places: &[Place], settings: &Settings) -> anyhow::Result<Vec<Answer>> {
    // A proxy of the environment is for the world outside, and a redirect leads away from the role.
    let client = Client::builder().timeout(TIMEOUT).no_proxy().redirect(reqwest::redirect::Policy::none()).build()?;
    Ok(join_all(places.iter().map(|place| ask(&client, place, settings))).await)
}

async fn ask(client: &Client, place: &Place, settings: &Settings) -> Answer {
    let url = place.0.join("readyz").expect("a path can be added to an address");
    let call = async {
        let mut request = client.get(url);
        if let Some(token) = &settings.token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        let mut response = request.send().await?;
        let (status, mut body) = (response.status(), Vec::new());
        while let Some(part) = response.chunk().await? {
            body.extend_from_slice(&part);
            if body.len() > ANSWER_BYTES_MAX {
                break;
            }
        }
        Ok::<_, reqwest::Error>((status, body))
    };
    // The client's own limit does not hold for the lookup of a name that nobody answers.
    let name = place.name();
    match tokio::time::timeout(TIMEOUT, call).await {
        Ok(Ok((status, body))) => understand(name, status, &body),
        Ok(Err(error)) if error.is_connect() => {
            Answer::None(format!("no role listens at {name}: it is not started, or its --admin is another address"))
        }
        Ok(Err(error)) if !error.is_timeout() => {
            Answer::None(format!("{name} does not speak HTTP as a role does: {error}"))
        }
        Ok(Err(_)) | Err(_) => Answer::None(format!("{name} does not answer within {} s", TIMEOUT.as_secs())),
    }
}

fn understand(name: &str, status: StatusCode, body: &[u8]) -> Answer {
    let report = serde_json::from_slice::<Value>(body).unwrap_or_default();
    match report["ready"].as_bool() {
        Some(is_ready) if [StatusCode::OK, StatusCode::SERVICE_UNAVAILABLE].contains(&status) => {
            Answer::Role { is_ready, report }
        }
        _ => Answer::None(format!("{name} is no admin port of Paceline: it answers {} to /readyz", status.as_u16())),
    }
}

/// (ready, the line that says so or why not): somebody must answer, and all that do must be ready.
fn judge(answers: &[Answer]) -> (bool, String) {
    let roles: Vec<_> = answers.iter().filter_map(Answer::report).collect();
    if roles.is_empty() {
        let nobody: Vec<_> = answers.iter().filter_map(Answer::why_none).collect();
        return (false, nobody.join("; "));
    }
    let red: Vec<_> = answers
        .iter()
        .filter_map(|answer| match answer {
            Answer::Role { is_ready: false, report } => {
                Some(format!("{} is not ready: {}", name_of(report), why(report)))
            }
            Answer::Role { .. } | Answer::None(_) => None,
        })
        .collect();
    match red.is_empty() {
        true => {
            (true, roles.iter().map(|report| format!("{} is ready", name_of(report))).collect::<Vec<_>>().join("; "))
        }
        false => (false, red.join("; ")),
    }
}

fn name_of(report: &Value) -> String {
    let text = |key: &str| report[key].as_str().unwrap_or_default();
    match (text("role"), text("id")) {
        ("", _) => "the role".to_owned(),
        (role, id) => format!("{role} {id}"),
    }
}

/// Every red check, also of the roles within a process, on one line.
fn why(report: &Value) -> String {
    let mut reasons = Vec::new();
    collect(report, "", &mut reasons);
    if reasons.is_empty() {
        return "it does not say why to a caller without its PACELINE_TOKEN".to_owned();
    }
    reasons.join(", ").replace('\n', " ")
}

fn collect(report: &Value, prefix: &str, reasons: &mut Vec<String>) {
    let empty = Vec::new();
    for check in report["checks"].as_array().unwrap_or(&empty).iter().filter(|check| check["ok"] == false) {
        let text = |key: &str| check[key].as_str().unwrap_or_default();
        reasons.push(format!("{prefix}{}: {}", text("name"), text("why")));
    }
    for part in report["roles"].as_array().unwrap_or(&empty) {
        collect(part, &format!("{} ", part["role"].as_str().unwrap_or_default()), reasons);
    }
}

impl Answer {
    fn report(&self) -> Option<&Value> {
        match self {
            Self::Role { report, .. } => Some(report),
            Self::None(_) => None,
        }
    }

    fn why_none(&self) -> Option<&str> {
        match self {
            Self::None(why) => Some(why),
            Self::Role { .. } => None,
        }
    }
}

impl Place {
    /// Without scheme and path.
    fn name(&self) -> &str {
        self.0.as_str().trim_start_matches("http://").trim_end_matches('/')
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use paceline_runtime::lifecycle::Tasks;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    fn named(at: &str) -> Vec<String> {
        places(at.parse().unwrap()).unwrap().iter().map(|place| place.name().to_owned()).collect()
    }

    #[test]
    fn the_setting_of_the_role_says_where_to_ask() {
        assert_eq!(named("0.0.0.0:9464"), ["127.0.0.1:9464"]);
        assert_eq!(named("[::]:9000"), ["[::1]:9000"]);
        assert_eq!(named("10.0.0.7:9464"), ["10.0.0.7:9464"]);
        assert_eq!(named("0.0.0.0"), ["127.0.0.1:9464", "127.0.0.1:9465", "127.0.0.1:9466"]);
        assert_eq!(places(AdminAt::Default).unwrap().len(), 3);
        assert!(places(AdminAt::Off).unwrap_err().message.contains("is off"));
        assert!(places("0.0.0.0:0".parse().unwrap()).unwrap_err().message.contains("port 0"));
    }

    #[test]
    fn an_address_is_one_that_people_write_and_nothing_else() {
        for right in ["127.0.0.1:9464", "http://127.0.0.1:9464", "http://worker:9464/", "[::1]:9464", "worker:80"] {
            right.parse::<Place>().unwrap();
        }
        for wrong in ["", "9464", "worker", "https://worker:9464", "worker:9464/readyz", "u:p@worker:1", "worker:99999"]
        {
            assert!(wrong.parse::<Place>().is_err(), "{wrong}");
        }
    }

    /// Answers one connection with `answer` and closes it; with nothing, it keeps silent.
    async fn server(answer: &'static str) -> Place {
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

    async fn judged(place: Place) -> (bool, String) {
        let client = Client::builder().no_proxy().build().unwrap();
        judge(&[ask(&client, &place, &Settings::default()).await])
    }

    #[tokio::test]
    async fn a_role_is_understood_and_whatever_else_answers_is_not_ready() {
        let ready = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{\"ready\":true,\"role\":\"worker\",\"id\":\"w-1\",\"checks\":[]}";
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

    #[tokio::test]
    async fn silence_and_absence_are_told_apart_in_bounded_time() {
        let silent = server("").await;
        let (is_ready, why) = tokio::time::timeout(TIMEOUT * 5, judged(silent)).await.unwrap();
        assert!(!is_ready && why.contains("does not answer within 2 s"), "{why}");
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let free = listener.local_addr().unwrap().to_string().parse::<Place>().unwrap();
        drop(listener);
        let (is_ready, why) = judged(free).await;
        assert!(!is_ready && why.starts_with("no role listens at 127.0.0.1:"), "{why}");
    }

    #[test]
    fn one_that_answers_is_enough_and_one_that_is_red_is_too_much() {
        let role =
            |is_ready: bool| Answer::Role { is_ready, report: json!({ "role": "worker", "id": "w", "checks": [] }) };
        let none = || Answer::None("no role listens at x".to_owned());
        assert!(judge(&[none(), role(true), none()]).0);
        assert!(!judge(&[role(true), role(false)]).0);
        assert_eq!(judge(&[none(), none()]), (false, "no role listens at x; no role listens at x".to_owned()));
    }
}

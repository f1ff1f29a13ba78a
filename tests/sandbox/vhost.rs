//! A vhost and a user of RabbitMQ that belong to one test, so that their permissions can be taken away while other tests go on. Made
//! over RabbitMQ's management API.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::mesh::Mesh;
use crate::process::in_time;

/// `guest:guest`, who may do everything on a stack for tests.
const LOGIN: &str = "Z3Vlc3Q6Z3Vlc3Q=";
const POLL_INTERVAL: Duration = Duration::from_millis(50);

pub struct Vhost {
    /// `host:port` of the management API.
    management: String,
    /// Of the vhost, and of its user.
    name: String,
}

impl Vhost {
    /// Makes both, with every permission, and puts the mesh on them.
    pub async fn of(mesh: &mut Mesh) -> Self {
        let url = std::env::var("PACELINE_RABBITMQ_MANAGEMENT_URL");
        let url = url.expect(
            "PACELINE_RABBITMQ_MANAGEMENT_URL is not set: run `make test`, or eval \"$(infra/local/stack up)\"",
        );
        let management = url.trim_start_matches("http://").trim_end_matches('/').to_owned();
        let vhost = Self { management, name: mesh.connections.namespace.clone() };
        let name = &vhost.name;
        vhost.ask("PUT", &format!("vhosts/{name}"), json!({})).await;
        vhost.ask("PUT", &format!("users/{name}"), json!({"password": name, "tags": ""})).await;
        vhost.allow().await;
        let at = &mut mesh.connections.broker_url;
        let host = at.trim_start_matches("amqp://").rsplit('@').next().and_then(|rest| rest.split('/').next());
        *at = format!("amqp://{name}:{name}@{}/{name}", host.expect("a host"));
        vhost
    }

    pub async fn allow(&self) {
        let all = json!({"configure": ".*", "write": ".*", "read": ".*"});
        self.ask("PUT", &format!("permissions/{0}/{0}", self.name), all).await;
    }

    /// Takes every permission away, and closes connections, which would remember them otherwise, until `enough` comes: RabbitMQ lists
    /// a connection only some seconds after it was opened.
    pub async fn forbid_until<T>(&self, enough: impl Future<Output = T>) -> T {
        self.ask("DELETE", &format!("permissions/{0}/{0}", self.name), Value::Null).await;
        tokio::select! {
            biased;
            enough = enough => enough,
            () = self.keep_closing() => unreachable!("it goes on for ever"),
        }
    }

    async fn keep_closing(&self) {
        loop {
            let open = self.ask("GET", &format!("vhosts/{}/connections", self.name), Value::Null).await;
            for connection in open.as_array().into_iter().flatten() {
                let name = connection["name"].as_str().expect("a connection has a name");
                self.ask("DELETE", &format!("connections/{}", percent_encoded(name)), Value::Null).await;
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    pub async fn remove(self) {
        self.ask("DELETE", &format!("vhosts/{}", self.name), Value::Null).await;
        self.ask("DELETE", &format!("users/{}", self.name), Value::Null).await;
    }

    /// The answer's JSON. A connection that is gone already is no error.
    async fn ask(&self, method: &str, path: &str, body: Value) -> Value {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        // HTTP/1.0: an answer in one piece.
        let request = format!(
            "{method} /api/{path} HTTP/1.0\r\nhost: {}\r\nauthorization: Basic {LOGIN}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            self.management,
            body.len()
        );
        let answer = in_time("answer of the management API", self.send(&request)).await;
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        let status = head.split(' ').nth(1).expect("a status");
        let is_well = status.starts_with('2') || (method == "DELETE" && status == "404");
        assert!(is_well, "{method} {path}: {answer}");
        serde_json::from_str(body).unwrap_or(Value::Null)
    }

    async fn send(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(&self.management).await.expect("the management API listens");
        stream.write_all(request.as_bytes()).await.expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("it answers");
        answer
    }
}

fn percent_encoded(text: &str) -> String {
    let encoded = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(encoded).collect()
}

//! A server that gives canned answers, for what a healthy Elasticsearch never says.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use paceline_core::clock::SystemClock;
use paceline_core::ports::sink::Payloads;

use super::{ElasticConfig, ElasticSink};

/// The server's act on one request.
pub enum Answer {
    /// A status and a body.
    Say(u16, String),
    /// Takes the request and closes the connection.
    HangUp,
    /// Takes the request and says nothing while the connection is open.
    Silence,
}

/// A request as it arrived.
pub struct Seen {
    pub head: String,
    pub body: String,
}

pub struct FakeServer {
    port: u16,
    seen: Receiver<Seen>,
}

impl FakeServer {
    /// Serves one connection after another, one answer a request, and ends after the last.
    pub fn answering(answers: Vec<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (seen_out, seen) = channel();
        thread::spawn(move || {
            let mut answers = answers.into_iter().peekable();
            while answers.peek().is_some() {
                let (stream, _) = listener.accept().unwrap();
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                while let Some(request) = answers.peek().and_then(|_| read_request(&mut reader)) {
                    seen_out.send(request).unwrap();
                    if !answer(&stream, answers.next().unwrap()) {
                        break;
                    }
                }
            }
        });
        Self { port, seen }
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub fn sink(&self) -> ElasticSink {
        self.sink_with(Payloads::Searchable)
    }

    pub fn sink_with(&self, payloads: Payloads) -> ElasticSink {
        connect_with(&format!("http://elastic:s3cret@127.0.0.1:{}", self.port), payloads)
    }

    /// Everything that arrived so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.try_iter().collect()
    }
}

pub fn connect(url: &str) -> ElasticSink {
    connect_with(url, Payloads::Searchable)
}

pub fn connect_with(url: &str, payloads: Payloads) -> ElasticSink {
    let config = ElasticConfig { url: url.into(), namespace: "paceline".into(), ca_file: None, payloads };
    ElasticSink::connect(config, SystemClock::shared()).unwrap()
}

fn read_request(reader: &mut BufReader<TcpStream>) -> Option<Seen> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let length = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).ok()?;
    Some(Seen { head, body: String::from_utf8(body).unwrap() })
}

/// True if the connection stays open.
fn answer(mut stream: &TcpStream, answer: Answer) -> bool {
    match answer {
        Answer::Say(status, body) => {
            let length = body.len();
            let head = format!(
                "HTTP/1.1 {status} Canned\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
            );
            stream.write_all((head + &body).as_bytes()).is_ok()
        }
        Answer::HangUp => false,
        Answer::Silence => {
            // Returns when the client gives up.
            _ = stream.read(&mut [0]);
            false
        }
    }
}

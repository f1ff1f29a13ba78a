//! Scrapes `/metrics` as Prometheus does, over HTTP, and reads the lines of OpenMetrics.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const WAIT_MAX: Duration = Duration::from_secs(60);
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// The samples of one scrape.
#[derive(Debug, Clone)]
pub struct Scrape {
    pub head: String,
    pub text: String,
}

impl Scrape {
    pub async fn of(address: SocketAddr) -> Self {
        let mut stream = TcpStream::connect(address).await.expect("the admin port is open");
        let request = "GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        stream.write_all(request.as_bytes()).await.expect("it listens");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("it answers");
        let (head, text) = answer.split_once("\r\n\r\n").expect("an answer has a head");
        Self { head: head.to_ascii_lowercase(), text: text.to_owned() }
    }

    /// The first scrape that is as `is_enough` says.
    pub async fn until(address: SocketAddr, is_enough: impl Fn(&Self) -> bool) -> Self {
        let waiting = async {
            loop {
                let scrape = Self::of(address).await;
                if is_enough(&scrape) {
                    return scrape;
                }
                tokio::time::sleep(POLL_INTERVAL).await;
            }
        };
        match tokio::time::timeout(WAIT_MAX, waiting).await {
            Ok(scrape) => scrape,
            Err(_) => panic!("never enough: {}", Self::of(address).await.text),
        }
    }

    /// The samples of a name whose labels have all of these, such as `queue="default"`.
    pub fn samples(&self, name: &str, labels: &[&str]) -> Vec<&str> {
        let is_it = |line: &&str| {
            let rest = line.strip_prefix(name).filter(|rest| rest.starts_with(['{', ' ']));
            rest.is_some_and(|rest| labels.iter().all(|label| rest.contains(label)))
        };
        self.text.lines().filter(is_it).collect()
    }

    /// The sum of those; `None` if there is none.
    pub fn sum(&self, name: &str, labels: &[&str]) -> Option<f64> {
        let value = |line: &str| {
            let line = line.split(" # ").next().unwrap_or(line);
            line.rsplit(' ').next().and_then(|value| value.parse::<f64>().ok()).expect("a sample ends with its value")
        };
        self.samples(name, labels).into_iter().map(value).reduce(|one, another| one + another)
    }
}

//! The whole machine, from Linux's /proc: the CPU time of every process together, and which processes are the services, where
//! they run here too.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use paceline_core::error::codes;
use paceline_core::nodes::node_urls;
use paceline_core::{Error, Result};
use paceline_runtime::settings::Settings;
use url::{Host, Url};

use super::usage::TICK_US;

/// State "listening" in /proc/net/tcp.
const LISTENING: &str = "0A";
/// Programs that listen for a service which runs elsewhere, by what the kernel calls them. Theirs is not the service's time, and
/// an unknown number is better than a wrong one.
const PROXIES: [&str; 16] = [
    "docker-proxy",
    "envoy",
    "haproxy",
    "kubectl",
    "nginx",
    "pasta",
    "rootlesskit",
    "rootlessport",
    "slirp4netns",
    "socat",
    "ssh",
    "sshd",
    "sshd-session",
    "stunnel",
    "stunnel4",
    "systemd",
];

/// The time that all cores together were busy since the machine started: what was idle, waited for a disk or was taken by
/// another machine on the same hardware does not count.
pub fn busy_us() -> Result<u64> {
    let unreadable =
        || Error::internal("cannot read /proc/stat; the benchmark needs Linux").coded(codes::BENCH_NEEDS_LINUX);
    let stat = std::fs::read_to_string("/proc/stat").map_err(|_| unreadable())?;
    parse_busy_us(&stat).ok_or_else(unreadable)
}

/// user + nice + system + irq + softirq of the first line, which sums up the cores. Guests are in user already.
fn parse_busy_us(stat: &str) -> Option<u64> {
    let numbers = stat.lines().next()?.strip_prefix("cpu ")?.split_ascii_whitespace();
    let numbers: Vec<u64> = numbers.map(str::parse).collect::<std::result::Result<_, _>>().ok()?;
    let busy = [0, 1, 2, 5, 6].map(|column| numbers.get(column).copied());
    busy.into_iter().sum::<Option<u64>>().map(|ticks| ticks * TICK_US)
}

/// (service, process id) of the services that listen on this machine, as far as we may look into their processes.
pub fn services(settings: &Settings) -> Vec<(&'static str, u32)> {
    let urls = [("broker", &settings.broker_url), ("sink", &settings.sink_url), ("ledger", &settings.ledger_url)];
    let nodes = urls.into_iter().flat_map(|(name, url)| node_urls(url).into_iter().map(move |node| (name, node)));
    nodes.filter_map(|(name, node)| Some((name, listener(local_port(&node)?)?))).collect()
}

fn local_port(url: &str) -> Option<u16> {
    let url = Url::parse(url).ok()?;
    if url.scheme().ends_with("+sentinel") {
        // It only knows where the ledger is.
        return None;
    }
    // A scheme that the parser does not know keeps its host as text.
    let host = url.host()?;
    let is_local = match &host {
        Host::Domain(name) => *name == "localhost" || name.parse().is_ok_and(|ip: Ipv4Addr| ip.is_loopback()),
        Host::Ipv4(ip) => ip.is_loopback(),
        Host::Ipv6(ip) => ip.is_loopback(),
    };
    let default = match url.scheme() {
        "amqp" => Some(5672),
        "amqps" => Some(5671),
        "redis" | "rediss" => Some(6379),
        _ => url.port_or_known_default(),
    };
    is_local.then(|| url.port().or(default))?
}

/// The process that listens on a port, unless it is a proxy.
fn listener(port: u16) -> Option<u32> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|table| std::fs::read_to_string(table).unwrap_or_default());
    let sockets: BTreeSet<String> = tables.iter().flat_map(|table| listening(table, port)).collect();
    let processes = std::fs::read_dir("/proc").ok()?.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    processes.into_iter().find(|pid| holds(*pid, &sockets) && !is_proxy(*pid))
}

fn is_proxy(pid: u32) -> bool {
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    PROXIES.contains(&name.trim_end())
}

/// The names of the sockets that listen on `port`, as the folders of their processes show them.
fn listening(table: &str, port: u16) -> impl Iterator<Item = String> {
    let end = format!(":{port:04X}");
    let socket = move |line: &str| {
        let columns: Vec<&str> = line.split_ascii_whitespace().collect();
        let is_it = columns.get(1)?.ends_with(&end) && *columns.get(3)? == LISTENING;
        is_it.then(|| Some(format!("socket:[{}]", columns.get(9)?)))?
    };
    table.lines().filter_map(socket)
}

fn holds(pid: u32, sockets: &BTreeSet<String>) -> bool {
    let Ok(files) = std::fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    let mut targets = files.filter_map(|file| std::fs::read_link(file.ok()?.path()).ok());
    targets.any(|target| target.to_str().is_some_and(|target| sockets.contains(target)))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn busy_is_what_is_not_idle_waiting_or_stolen() {
        let stat = "cpu  100 20 30 4000 500 6 7 800 9 9\ncpu0 1 1 1 1 1 1 1 1 1 1\n";
        assert_eq!(parse_busy_us(stat), Some((100 + 20 + 30 + 6 + 7) * 10_000));
        assert_eq!(parse_busy_us("cpu  100 20"), None);
        assert!(busy_us().unwrap() > 0);
    }

    #[test]
    fn a_service_of_this_machine_is_found_by_its_port() {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        let settings = Settings {
            broker_url: format!("amqp://guest:guest@127.0.0.1:{port}/%2f"),
            sink_url: "http://search.example:9200".into(),
            ledger_url: "embedded:data".into(),
            ..Settings::default()
        };
        assert_eq!(services(&settings), [("broker", std::process::id())]);
        assert_eq!(local_port("redis://localhost"), Some(6379));
    }
}

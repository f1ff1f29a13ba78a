//! The sentinels: asked which server is the primary whenever a connection is made, and again while it lives, all at once, because any of them
//! may be away or behind the others. Fewer than a majority of them is not believed: they may be the side that another primary was chosen without.

use std::fmt;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use paceline_core::error::codes;
use paceline_core::nodes::node_urls;
use paceline_core::{Error, Result};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, IntoConnectionInfo, RedisResult, cmd};
use url::Url;

use super::server::{Server, wrong_url};
use crate::percent::percent_decoded;

/// The longest that all of them together may take: one that is away or frozen costs no more, and nothing when the others answer.
const ASK_MAX: Duration = Duration::from_secs(1);
const PORT_DEFAULT: u16 = 26379;
const FORM: &str = "write redis+sentinel://sentinel1:26379,sentinel2:26379,sentinel3:26379/<the primary's name>";

pub(super) struct Sentinels {
    nodes: Vec<Server>,
    /// The primary's name in the sentinels' settings.
    name: String,
    /// The parts before and after a server's address in its URL: scheme and login, database.
    around: (String, String),
    ca: Option<Vec<u8>>,
}

/// The primary that one sentinel believes in.
pub(super) struct Belief {
    host: String,
    port: u16,
    /// Grows with each election; who knows of the latest is right.
    pub(super) epoch: u64,
}

/// The servers that one sentinel sees.
pub(super) struct View {
    pub(super) belief: Belief,
    /// The primary's flags, such as `master`, or `s_down,master` when this sentinel does not reach the primary.
    pub(super) flags: String,
    /// Address and flags of each.
    pub(super) replicas: Vec<(String, String)>,
}

/// Names and values, as sentinels tell of a server.
type Fields = std::collections::HashMap<String, String>;

impl Belief {
    pub(super) fn address(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

/// The addresses, for messages to people.
impl fmt::Display for Sentinels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nodes: Vec<&str> = self.nodes.iter().map(|node| node.address.as_str()).collect();
        match nodes.split_last() {
            Some((last, others @ [_, ..])) => {
                write!(f, "{}, known to the sentinels {} and {last}", self.name, others.join(", "))
            }
            _ => write!(f, "{}, known to the sentinel {}", self.name, nodes.join("")),
        }
    }
}

impl Sentinels {
    pub(super) fn read(url: &str, ca: Option<Vec<u8>>) -> Result<Self> {
        // Quoting nothing: what cannot be read may be a password.
        let read = |node: &String| Url::parse(node).map_err(|_| wrong_url(format!("not a sentinel URL; {FORM}")));
        let urls = node_urls(url).iter().map(read).collect::<Result<Vec<Url>>>()?;
        let whole = &urls[0];
        let mut path = whole.path_segments().into_iter().flatten();
        let name = path.next().filter(|name| !name.is_empty()).unwrap_or_default().to_owned();
        let database = path.next().unwrap_or("0");
        if name.is_empty() {
            return Err(wrong_url(format!("the primary's name is missing; {FORM}")));
        }
        if database.parse::<u32>().is_err() || path.next().is_some() {
            return Err(wrong_url(format!(
                "after the primary's name comes the number of a database or nothing; {FORM}"
            )));
        }
        let scheme = whole.scheme().trim_end_matches("+sentinel");
        let login = match (whole.username(), whole.password()) {
            ("", None) => String::new(),
            (user, password) => format!("{user}:{}@", password.unwrap_or_default()),
        };
        let around = (format!("{scheme}://{login}"), format!("/{database}"));
        let nodes = urls.iter().map(|node| sentinel(scheme, node, ca.as_deref())).collect::<Result<_>>()?;
        Ok(Self { nodes, name, around, ca })
    }

    /// The primary that the most recent election has made, as far as a majority of the sentinels knows. Each may take [`ASK_MAX`].
    pub(super) async fn primary(&self) -> Result<Server> {
        let mut asking: FuturesUnordered<_> = self.nodes.iter().map(|node| self.ask(node)).collect();
        let (mut beliefs, mut reasons) = (Vec::new(), Vec::new());
        let enough = self.nodes.len() / 2 + 1;
        while beliefs.len() < enough
            && let Some(answer) = asking.next().await
        {
            match answer {
                Ok(belief) => beliefs.push(belief),
                Err(reason) => reasons.push(reason),
            }
        }
        if beliefs.len() < enough {
            return Err(self.no_majority(beliefs.len(), &reasons));
        }
        let latest = beliefs.into_iter().max_by_key(|belief| belief.epoch).expect("a majority is at least one");
        let (before, after) = &self.around;
        let host = if latest.host.contains(':') { format!("[{}]", latest.host) } else { latest.host };
        Server::at(&format!("{before}{host}:{}{after}", latest.port), self.ca.as_deref())
    }

    /// Each sentinel's word of all servers, or why it has none.
    pub(super) async fn views(&self) -> Vec<(String, Result<View>)> {
        let looks = self.nodes.iter().map(async |node| {
            let view = tokio::time::timeout(ASK_MAX, self.view(node)).await;
            (node.address.clone(), self.answer(node, view).map_err(Error::unavailable))
        });
        futures::future::join_all(looks).await
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    async fn ask(&self, node: &Server) -> std::result::Result<Belief, String> {
        let asked = tokio::time::timeout(ASK_MAX, self.belief(node)).await;
        self.answer(node, asked)
    }

    fn answer<T>(
        &self,
        node: &Server,
        asked: std::result::Result<RedisResult<Option<T>>, tokio::time::error::Elapsed>,
    ) -> std::result::Result<T, String> {
        let told = |reason: String| format!("sentinel {}: {reason}", node.address);
        match asked {
            Err(_) => Err(told(format!("did not answer within {} s", ASK_MAX.as_secs()))),
            Ok(Err(error)) => Err(told(error.to_string())),
            Ok(Ok(None)) => Err(told(format!("knows no primary {:?}; see its line `sentinel monitor`", self.name))),
            Ok(Ok(Some(answer))) => Ok(answer),
        }
    }

    async fn belief(&self, node: &Server) -> RedisResult<Option<Belief>> {
        let view = self.begun_view(&mut connected(node).await?).await?;
        Ok(view.map(|view| view.belief))
    }

    async fn view(&self, node: &Server) -> RedisResult<Option<View>> {
        let mut connection = connected(node).await?;
        let Some(mut view) = self.begun_view(&mut connection).await? else { return Ok(None) };
        let mut ask_replicas = cmd("SENTINEL");
        ask_replicas.arg("REPLICAS").arg(&self.name);
        let replicas: Vec<Fields> = ask_replicas.query_async(&mut connection).await?;
        let seen = replicas.iter().map(|replica| {
            let field = |name: &str| replica.get(name).cloned().unwrap_or_default();
            (format!("{}:{}", field("ip"), field("port")), field("flags"))
        });
        view.replicas.extend(seen);
        Ok(Some(view))
    }

    /// Without the replicas.
    async fn begun_view(&self, connection: &mut MultiplexedConnection) -> RedisResult<Option<View>> {
        // The address of a primary that is just being replaced is answered by the first alone; its age, by the second.
        let mut ask_address = cmd("SENTINEL");
        ask_address.arg("GET-MASTER-ADDR-BY-NAME").arg(&self.name);
        let address: Option<(String, u16)> = ask_address.query_async(connection).await?;
        let Some((host, port)) = address else { return Ok(None) };
        let fields: Fields = cmd("SENTINEL").arg("MASTER").arg(&self.name).query_async(connection).await?;
        let epoch = fields.get("config-epoch").and_then(|epoch| epoch.parse().ok()).unwrap_or(0);
        let flags = fields.get("flags").cloned().unwrap_or_default();
        Ok(Some(View { belief: Belief { host, port, epoch }, flags, replicas: Vec::new() }))
    }

    /// The login of each sentinel.
    #[cfg(test)]
    pub(super) fn logins(&self) -> Vec<(Option<&str>, Option<&str>)> {
        let settings = self.nodes.iter().map(|node| node.client.get_connection_info().redis_settings());
        settings.map(|settings| (settings.username(), settings.password())).collect()
    }

    fn no_majority(&self, answered: usize, reasons: &[String]) -> Error {
        let (all, reasons) = (self.nodes.len(), reasons.join("; "));
        Error::unavailable(format!(
            "cannot find redis {self}: {answered} of {all} answer, and it takes a majority: {reasons}; \
             are they running, and is PACELINE_LEDGER_URL right?"
        ))
        .coded(codes::SENTINELS_NO_MAJORITY)
    }
}

/// A connection a question: they come seldom, and a connection kept would be one more to be found dead. Whoever asks bounds the time.
async fn connected(node: &Server) -> RedisResult<MultiplexedConnection> {
    let settings = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
    Box::pin(node.client.get_multiplexed_async_connection_with_config(&settings)).await
}

/// A sentinel of the URL, with the login for sentinels if the URL has one. The login of the servers is not tried on sentinels.
fn sentinel(scheme: &str, node: &Url, ca: Option<&[u8]>) -> Result<Server> {
    let host = node.host_str().filter(|host| !host.is_empty());
    let host = host.ok_or_else(|| wrong_url(format!("a sentinel's address is missing; {FORM}")))?;
    let port = node.port().unwrap_or(PORT_DEFAULT);
    let info = format!("{scheme}://{host}:{port}").into_connection_info();
    let info = info.map_err(|_| wrong_url(format!("not a sentinel URL; {FORM}")))?;
    let mut settings = info.redis_settings().clone();
    // As in every other part of a URL a plus is a plus; `query_pairs` would make a space of it.
    for pair in node.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = percent_decoded(value).ok_or_else(|| wrong_url("a sentinel's login is not percent-encoded text"));
        settings = match key {
            "sentinel_user" => settings.set_username(value?),
            "sentinel_password" => settings.set_password(value?),
            _ => return Err(wrong_url("only sentinel_user and sentinel_password may follow the question mark")),
        };
    }
    Server::with(info.set_redis_settings(settings), ca)
}

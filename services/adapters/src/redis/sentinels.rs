//! The sentinels: asked which server is the primary whenever a connection is made, all at once, because any of them may be away
//! or behind the others.

use std::fmt;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use paceline_core::nodes::node_urls;
use paceline_core::{Error, Result};
use redis::{AsyncConnectionConfig, IntoConnectionInfo, RedisResult, cmd};
use url::Url;

use super::config::{Server, wrong_url};

/// How long all of them together may take: one that is away or frozen costs no more, and nothing when the others answer.
const ASK_MAX: Duration = Duration::from_secs(1);
const PORT_DEFAULT: u16 = 26379;
const FORM: &str = "write redis+sentinel://sentinel1:26379,sentinel2:26379,sentinel3:26379/<the primary's name>";

pub(super) struct Sentinels {
    nodes: Vec<Server>,
    /// Of the primary, in the sentinels' settings.
    name: String,
    /// What stands before and after a server's address in its URL: scheme and login, database.
    around: (String, String),
    ca: Option<Vec<u8>>,
}

/// What one sentinel believes.
struct Belief {
    host: String,
    port: u16,
    /// Grows with each election; who knows of the latest is right.
    epoch: u64,
}

/// For messages.
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

    /// The primary that the most recent election has made, as far as a majority of the sentinels knows.
    pub(super) async fn primary(&self) -> Result<Server> {
        let mut asking: FuturesUnordered<_> = self.nodes.iter().map(|node| self.ask(node)).collect();
        let (mut beliefs, mut reasons) = (Vec::new(), Vec::new());
        let enough = self.nodes.len() / 2 + 1;
        let deadline = tokio::time::Instant::now() + ASK_MAX;
        while beliefs.len() < enough
            && let Ok(Some(answer)) = tokio::time::timeout_at(deadline, asking.next()).await
        {
            match answer {
                Ok(belief) => beliefs.push(belief),
                Err(reason) => reasons.push(reason),
            }
        }
        let latest = beliefs.into_iter().max_by_key(|belief| belief.epoch).ok_or_else(|| self.unknown(&reasons))?;
        let (before, after) = &self.around;
        let host = if latest.host.contains(':') { format!("[{}]", latest.host) } else { latest.host };
        Server::at(&format!("{before}{host}:{}{after}", latest.port), self.ca.as_deref())
    }

    /// Which of them answer, each with the primary that it believes in or with why it does not.
    pub(super) async fn look(&self) -> Vec<(String, Result<String>)> {
        let looks = self.nodes.iter().map(async |node| {
            let belief = self.ask(node).await.map_err(Error::unavailable);
            (node.address.clone(), belief.map(|belief| format!("sentinel, knows {}:{}", belief.host, belief.port)))
        });
        futures::future::join_all(looks).await
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    async fn ask(&self, node: &Server) -> std::result::Result<Belief, String> {
        let asked = tokio::time::timeout(ASK_MAX, self.belief(node)).await;
        let told = |reason: String| format!("sentinel {}: {reason}", node.address);
        match asked {
            Err(_) => Err(told(format!("did not answer within {} s", ASK_MAX.as_secs()))),
            Ok(Err(error)) => Err(told(error.to_string())),
            Ok(Ok(None)) => Err(told(format!("knows no primary {:?}; see its line `sentinel monitor`", self.name))),
            Ok(Ok(Some(belief))) => Ok(belief),
        }
    }

    /// A connection a question: they come seldom, and a connection kept would be one more to be found dead.
    async fn belief(&self, node: &Server) -> RedisResult<Option<Belief>> {
        let settings =
            AsyncConnectionConfig::new().set_connection_timeout(Some(ASK_MAX)).set_response_timeout(Some(ASK_MAX));
        let mut connection = Box::pin(node.client.get_multiplexed_async_connection_with_config(&settings)).await?;
        // The address of a primary that is just being replaced is answered by the first alone; its age, by the second.
        let mut ask_address = cmd("SENTINEL");
        ask_address.arg("GET-MASTER-ADDR-BY-NAME").arg(&self.name);
        let address: Option<(String, u16)> = ask_address.query_async(&mut connection).await?;
        let Some((host, port)) = address else { return Ok(None) };
        let fields: std::collections::HashMap<String, String> =
            cmd("SENTINEL").arg("MASTER").arg(&self.name).query_async(&mut connection).await?;
        let epoch = fields.get("config-epoch").and_then(|epoch| epoch.parse().ok()).unwrap_or(0);
        Ok(Some(Belief { host, port, epoch }))
    }

    fn unknown(&self, reasons: &[String]) -> Error {
        let reasons = match reasons {
            [] => format!("none answers within {} s", ASK_MAX.as_secs()),
            some => some.join("; "),
        };
        Error::unavailable(format!(
            "cannot find redis {self}: {reasons}; are they running, and is PACELINE_LEDGER_URL right?"
        ))
    }
}

/// With a login of its own, if the URL has one for sentinels: that of the servers is not tried on them.
fn sentinel(scheme: &str, node: &Url, ca: Option<&[u8]>) -> Result<Server> {
    let host = node.host_str().filter(|host| !host.is_empty());
    let host = host.ok_or_else(|| wrong_url(format!("a sentinel's address is missing; {FORM}")))?;
    let port = node.port().unwrap_or(PORT_DEFAULT);
    let info = format!("{scheme}://{host}:{port}").into_connection_info();
    let info = info.map_err(|_| wrong_url(format!("not a sentinel URL; {FORM}")))?;
    let mut settings = info.redis_settings().clone();
    for (key, value) in node.query_pairs() {
        settings = match &*key {
            "sentinel_user" => settings.set_username(&*value),
            "sentinel_password" => settings.set_password(&*value),
            _ => return Err(wrong_url("only sentinel_user and sentinel_password may follow the question mark")),
        };
    }
    Server::with(info.set_redis_settings(settings), ca)
}

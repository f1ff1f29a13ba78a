//! One handle to a ledger in Redis. A file of this folder that has the name of a port implements it for this handle; each step is one
//! script of `scripts/`, or a row of commands that a crash may cut anywhere.

use paceline_core::Result;
use tokio::sync::OnceCell;

use super::config::{RedisAddress, RedisConfig};
use super::connection::RedisConnection;
use super::keys::Keys;
use super::scripts::Scripts;

pub struct RedisLedger {
    pub(super) connection: RedisConnection,
    pub(super) keys: Keys,
    pub(super) scripts: Scripts,
    /// Set once [`Keys::unkept`] also has the runs that ended before that key was kept.
    pub(super) has_ends_of_before: OnceCell<()>,
}

impl RedisLedger {
    /// Reaches the server, so a wrong address shows at once. It reconnects by itself later on.
    pub async fn connect(config: RedisConfig) -> Result<Self> {
        let connection = RedisConnection::open(&config).await?;
        let (keys, scripts) = (Keys::new(&config.namespace), Scripts::new());
        Ok(Self { connection, keys, scripts, has_ends_of_before: OnceCell::new() })
    }

    /// The sentinels and the servers that they know, each with its role or its trouble. Empty if the URL names no sentinels.
    pub async fn look(config: &RedisConfig) -> Result<Vec<(String, Result<String>)>> {
        match config.place()? {
            RedisAddress::Server(_) => Ok(Vec::new()),
            RedisAddress::Sentinels(sentinels) => Ok(super::look::look(&sentinels).await),
        }
    }
}

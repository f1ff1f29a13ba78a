//! The flags of every role's admin port.

use clap::Args;
use paceline_core::{Error, Result};
use paceline_runtime::admin::AdminAt;
use paceline_runtime::settings::Settings;
use tokio::net::TcpListener;

#[derive(Debug, Args)]
pub struct AdminFlags {
    /// Address of /livez, /readyz, /metrics and /log, or off; port 0 picks a free one, which is printed (PACELINE_ADMIN) [default: 127.0.0.1
    /// with the role's port, 9464 and up, or the next free one]
    #[arg(long, value_name = "HOST:PORT")]
    admin: Option<AdminAt>,
    /// Let everybody call, on an address that others can reach, without PACELINE_TOKEN
    #[arg(long)]
    pub allow_anonymous: bool,
}

impl AdminFlags {
    /// The flag, or else the setting. `None`: it is off.
    pub async fn bind(&self, port: u16, settings: &Settings) -> Result<Option<TcpListener>> {
        let set = || settings.admin_at().map_err(|wrong| Error::invalid_field("admin", wrong));
        let at = self.admin.map_or_else(set, Ok)?;
        at.bind(port, settings.token.as_deref(), self.allow_anonymous).await
    }
}

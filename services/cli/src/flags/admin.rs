//! The flags of every role's admin port.

use clap::Args;
use paceline_core::error::codes;
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
        self.at(settings)?.bind(port, settings.token.as_deref(), self.allow_anonymous).await
    }

    /// Several processes are started with these flags and settings: they cannot share one port.
    pub fn check_for_several(&self, settings: &Settings) -> Result<()> {
        match self.at(settings)? {
            AdminAt::Address(address) if address.port() != 0 => {
                let host = address.ip();
                Err(Error::invalid_field(
                    "admin",
                    format!(
                        "several workers cannot share {address}: say {host}, so that each takes the next free port, or {host}:0"
                    ),
                )
                .coded(codes::ADMIN_ADDRESS_INVALID))
            }
            _ => Ok(()),
        }
    }

    fn at(&self, settings: &Settings) -> Result<AdminAt> {
        let set = || {
            settings
                .admin_at()
                .map_err(|wrong| Error::invalid_field("admin", wrong).coded(codes::ADMIN_ADDRESS_INVALID))
        };
        self.admin.map_or_else(set, Ok)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_workers_share_no_port() {
        let flags =
            |admin: Option<&str>| AdminFlags { admin: admin.map(|at| at.parse().unwrap()), allow_anonymous: false };
        for fine in [None, Some("off"), Some("127.0.0.1"), Some("127.0.0.1:0")] {
            flags(fine).check_for_several(&Settings::default()).unwrap();
        }
        let error = flags(Some("127.0.0.1:9466")).check_for_several(&Settings::default()).unwrap_err();
        assert!(error.message.contains("say 127.0.0.1, so that each takes the next free port"), "{error}");
        let settings = Settings { admin: Some("127.0.0.1:9466".into()), ..Settings::default() };
        assert!(flags(None).check_for_several(&settings).is_err());
        flags(Some("off")).check_for_several(&settings).unwrap();
    }
}
